-- What a person may see of a credential, cut short when it was entered: lists open no secret.
alter table ah5.t_connections
    add column preview jsonb check (jsonb_typeof(preview) = 'object');
