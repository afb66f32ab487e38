-- What verdicts rest on beside the reports: the policies of the site, and the fleet's usual figures.

-- Each policy that was put in force; the last one is. A site without any has the one that is built in.
CREATE TABLE policies (
    number {integer} PRIMARY KEY,
    digest {text} NOT NULL,
    name   {text} NOT NULL,
    -- TOML, as it was given.
    content {text} NOT NULL,
    cause  {text} NOT NULL,
    at_ms  {integer} NOT NULL
) {table};

-- What a node's latest report has for its peers to be compared with; follows from the bytes of the report.
CREATE TABLE figures (
    node_id {text} PRIMARY KEY REFERENCES nodes (id),
    report  {integer} NOT NULL REFERENCES reports (revision),
    content {text} NOT NULL
) {keyed table};

-- Baselines of the whole fleet at one moment; never changed. The id is the digest of the content.
CREATE TABLE snapshots (
    number  {integer} PRIMARY KEY,
    id      {text} NOT NULL UNIQUE,
    nodes   {integer} NOT NULL,
    content {text} NOT NULL,
    at_ms   {integer} NOT NULL
) {table};

-- Every verdict on a report, the last one counts: by which judge, under which policy, with which baselines.
CREATE TABLE judgements (
    id       {integer} PRIMARY KEY,
    report   {integer} NOT NULL REFERENCES reports (revision),
    judge    {integer} NOT NULL,
    policy   {text} NOT NULL,
    -- Absent where there were no baselines.
    snapshot {text},
    verdict  {text} NOT NULL,
    -- With its findings, as JSON.
    record   {text} NOT NULL,
    cause    {text} NOT NULL,
    at_ms    {integer} NOT NULL
) {table};
CREATE INDEX judgements_by_report ON judgements (report, id);
