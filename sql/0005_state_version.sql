-- What the columns of an open bucket mean has a version. Rows of another version are not read: their buckets are built again from the source,
-- from oldest_offset on.
alter table open_state add column version integer not null default 1;
alter table open_state alter column version drop default;
