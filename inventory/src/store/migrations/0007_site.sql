-- What all servers on one database must agree on; who comes first says it.
CREATE TABLE site (
    name  {text} PRIMARY KEY,
    value {text} NOT NULL
) {keyed table};
