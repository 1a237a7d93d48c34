-- The statement that tells a catalog where its lake is; macros take no parameters from outside.
select concat('create or replace macro lake_folder() as ''', replace($folder, '''', ''''''), '''')
