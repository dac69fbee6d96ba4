/** What each matching scenario must give, worked out by hand from docs/reference/matching.md. Any book of ours is held against it. */

/** Three bids that scenarios 9 to 13 begin with: 10 at 10, 20 at 20, 30 at 30. Each becomes the best. */
const THREE_BIDS = [
  'accepted 1: buy 10@10',
  'top 10@10 / -',
  'accepted 2: buy 20@20',
  'top 20@20 / -',
  'accepted 3: buy 30@30',
  'top 30@30 / -',
];

/** Scenarios 6 and 7 begin with nine bids and nine asks, three orders on each of three levels; every one makes or joins the best level. */
const LADDER = [
  ...['accepted 1: buy 10@10', 'top 10@10 / -', 'accepted 2: buy 20@10', 'top 30@10 / -', 'accepted 3: buy 30@10', 'top 60@10 / -'],
  ...['accepted 4: buy 10@20', 'top 10@20 / -', 'accepted 5: buy 20@20', 'top 30@20 / -', 'accepted 6: buy 30@20', 'top 60@20 / -'],
  ...['accepted 7: buy 10@30', 'top 10@30 / -', 'accepted 8: buy 20@30', 'top 30@30 / -', 'accepted 9: buy 30@30', 'top 60@30 / -'],
  ...['accepted 10: sell 30@60', 'top 60@30 / 30@60', 'accepted 11: sell 20@60', 'top 60@30 / 50@60'],
  ...['accepted 12: sell 10@60', 'top 60@30 / 60@60'],
  ...['accepted 13: sell 30@50', 'top 60@30 / 30@50', 'accepted 14: sell 20@50', 'top 60@30 / 50@50'],
  ...['accepted 15: sell 10@50', 'top 60@30 / 60@50'],
  ...['accepted 16: sell 30@40', 'top 60@30 / 30@40', 'accepted 17: sell 20@40', 'top 60@30 / 50@40'],
  ...['accepted 18: sell 10@40', 'top 60@30 / 60@40'],
];

/** By number of the scenario. */
export const SCENARIO_EVENTS: Readonly<Record<string, readonly string[]>> = {
  // A name without a book: nothing happens to any book.
  '01': [],
  // A book that comes and goes: the mass cancel finds no orders, then the phase closes.
  '02': ['phase closed'],
  '03': [
    'accepted 1: buy 10@10',
    'top 10@10 / -',
    // A2: 10 less 5, in place.
    'replaced 1: 5@10, place kept',
    'top 5@10 / -',
    // A3: another price, so it enters again at 20 with 20.
    'replaced 1: 20@20, place lost',
    'top 20@20 / -',
    // A replacement with a new id is a cancel (A1) and a new order.
    'cancelled 1: 20, requested',
    'top - / -',
    'accepted 2: buy 30@30',
    'top 30@30 / -',
    'cancelled 2: 30, requested',
    'top - / -',
  ],
  // O1: prices equal, both whole.
  '04': ['accepted 1: buy 10@10', 'top 10@10 / -', 'accepted 2: sell 10@10', 'trade 2 with 1: 10@10, left 0 and 0', 'top - / -'],
  // O2: the same, at the maker's price.
  '05': ['accepted 1: buy 10@10', 'top 10@10 / -', 'accepted 2: sell 10', 'trade 2 with 1: 10@10, left 0 and 0', 'top - / -'],
  '06': [
    ...LADDER,
    // T1: 60 at 40 in order of arrival, then 40 of the 60 at 50: all of 13, half of 14; 10 + 10 are left there.
    'accepted 19: buy 100@50',
    'trade 19 with 16: 30@40, left 70 and 0',
    'trade 19 with 17: 20@40, left 50 and 0',
    'trade 19 with 18: 10@40, left 40 and 0',
    'trade 19 with 13: 30@50, left 10 and 0',
    'trade 19 with 14: 10@50, left 0 and 10',
    'top 60@30 / 20@50',
  ],
  '07': [
    ...LADDER,
    // Best bid 30, slippage 10: immediate or cancel at 20. 60 at 30 and 60 at 20 trade, 880 of 1000 go (O4).
    'accepted 19: sell 1000@20',
    'trade 19 with 7: 10@30, left 990 and 0',
    'trade 19 with 8: 20@30, left 970 and 0',
    'trade 19 with 9: 30@30, left 940 and 0',
    'trade 19 with 4: 10@20, left 930 and 0',
    'trade 19 with 5: 20@20, left 910 and 0',
    'trade 19 with 6: 30@20, left 880 and 0',
    'cancelled 19: 880, remainder',
    'top 60@10 / 60@40',
  ],
  '08': [
    // O6: nothing to take, so it stands, and is not shown.
    'accepted 1: buy 20@10',
    // 1 does not fit into 10: it stands too, at the same price. S3: 1 finds 10 of 20.
    'accepted 2: sell 10@10',
    // 1 does not fit into 5. S3: 1 finds 5 shown and then 2's 10, 15 of 20.
    'accepted 3: sell 5@10',
    'top - / 5@10',
    // 1 does not fit into 15. S3: 1 finds 5, 2's 10, and 4's 15 does not fit into the 5 left: 15 of 20.
    'accepted 4: sell 15@10',
    // A displayed order takes the displayed order first (T1). S3: 1 finds 2's 10, 4 does not fit into the rest.
    'accepted 5: buy 5@10',
    'trade 5 with 3: 5@10, left 0 and 0',
    'top - / -',
    // It finds 2's 10 of 20, as 1 does.
    'accepted 6: buy 20@10',
    // Neither 1 nor 6 fits into 15, so it stands. S3: 1 finds 15 shown; neither 2 nor 4 fits into 5. A search over all sets of
    // orders would pair 1 and 6 with 2, 4 and 7; a list that is walked once in order does not, and ours is such a list.
    'accepted 7: sell 15@10',
    'top - / 15@10',
  ],
  '09': [
    ...THREE_BIDS,
    // O4: the whole side, 60 of 100.
    'accepted 4: sell 100@10',
    'trade 4 with 3: 30@30, left 70 and 0',
    'trade 4 with 2: 20@20, left 50 and 0',
    'trade 4 with 1: 10@10, left 40 and 0',
    'cancelled 4: 40, remainder',
    'top - / -',
  ],
  '10': [
    ...THREE_BIDS,
    // O5: there are 60, not 100.
    'accepted 4: sell 100@10',
    'cancelled 4: 100, unfilled',
    'accepted 5: sell 40@10',
    'trade 5 with 3: 30@30, left 10 and 0',
    'trade 5 with 2: 10@20, left 0 and 10',
    'top 10@20 / -',
  ],
  '11': [
    ...THREE_BIDS,
    // O9: no last price yet, so it waits; the stop book is not shown.
    'accepted 4: sell 20 from 20',
    'accepted 5: sell 40',
    'trade 5 with 3: 30@30, left 10 and 0',
    'trade 5 with 2: 10@20, left 0 and 10',
    // S1: the lowest trade was at 20, its trigger. S2: it takes what is left at 20, then at 10.
    'triggered 4',
    'trade 4 with 2: 10@20, left 10 and 0',
    'trade 4 with 1: 10@10, left 0 and 0',
    'top - / -',
  ],
  '12': [
    ...THREE_BIDS,
    'accepted 4: sell 30@30 from 20',
    'accepted 5: sell 40',
    'trade 5 with 3: 30@30, left 10 and 0',
    'trade 5 with 2: 10@20, left 0 and 10',
    // Triggered at 20 it is a limit order at 30, which nobody bids: it stands.
    'triggered 4',
    'top 10@20 / 30@30',
  ],
  '13': [
    ...THREE_BIDS,
    // C8: a trailing stop is placed from the last price, and nothing has traded yet.
    'rejected 4: stopInvalid',
    'accepted 5: sell 10',
    'trade 5 with 3: 10@30, left 0 and 20',
    'top 20@30 / -',
  ],
  '14': [
    'accepted 1: buy 100@10',
    'top 100@10 / -',
    'accepted 2: sell 20',
    'trade 2 with 1: 20@10, left 0 and 80',
    'top 80@10 / -',
    // 150 in all, 20 executed: 130 left, more than 80, so the place is lost.
    'replaced 1: 130@10, place lost',
    'top 130@10 / -',
    // 50 in all: 30 left.
    'replaced 1: 30@10, place kept',
    'top 30@10 / -',
    // 10 in all, and 20 are executed: it goes.
    'cancelled 1: 30, requested',
    'top - / -',
  ],
};
