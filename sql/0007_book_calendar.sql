-- When the calendar had the last change of phase that a book has gone through; 0: none yet.
alter table order_books add column calendar_ns bigint not null default 0;
alter table order_books alter column calendar_ns drop default;
