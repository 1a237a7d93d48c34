-- No row, for the view of a table that has no file yet.
select null
where false
