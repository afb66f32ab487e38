-- How well nodes are known: evidence, certificates, TPM keys, challenges.

-- What holds a node's level up, in the boot and by the key that it is bound to. Without an end it holds until the next boot.
CREATE TABLE trust (
    node_id       {text} NOT NULL,
    boot_id       {text} NOT NULL,
    public_key    {bytes} NOT NULL CHECK (length(public_key) = 32),
    level         {text} NOT NULL,
    kind          {text} NOT NULL,
    -- The token, certificate or endorsement key that it is, and the particulars as JSON.
    subject       {text} NOT NULL,
    detail        {text},
    at_ms         {integer} NOT NULL,
    expires_at_ms {integer},
    revision      {integer} NOT NULL REFERENCES changes (revision),
    PRIMARY KEY (node_id, boot_id, kind, revision),
    FOREIGN KEY (node_id, boot_id) REFERENCES boots (node_id, boot_id)
) {keyed table};

-- The level when it was last looked at, and when it falls.
ALTER TABLE nodes ADD COLUMN trust_level {text} NOT NULL DEFAULT 'claimed';
ALTER TABLE nodes ADD COLUMN trust_expires_at_ms {integer};
CREATE INDEX nodes_by_trust_end ON nodes (trust_expires_at_ms) WHERE trust_expires_at_ms IS NOT NULL;

-- Every client certificate that was given out, by the SHA-256 of its DER form.
CREATE TABLE certificates (
    sha256        {text} PRIMARY KEY,
    node_id       {text} NOT NULL REFERENCES nodes (id),
    boot_id       {text} NOT NULL,
    public_key    {bytes} NOT NULL CHECK (length(public_key) = 32),
    pem           {text} NOT NULL,
    issued_at_ms  {integer} NOT NULL,
    expires_at_ms {integer} NOT NULL,
    revision      {integer} NOT NULL REFERENCES changes (revision)
) {keyed table};
CREATE INDEX certificates_by_node ON certificates (node_id, expires_at_ms);

-- Certificates of TPM makers that an operator trusts.
CREATE TABLE tpm_roots (
    sha256      {text} PRIMARY KEY,
    der         {bytes} NOT NULL,
    source      {text} NOT NULL,
    added_at_ms {integer} NOT NULL
) {keyed table};

-- Endorsement keys that an operator vouches for: for any node, or pinned to one when it was approved.
CREATE TABLE tpm_keys (
    ek_sha256   {text} PRIMARY KEY,
    node_id     {text} REFERENCES nodes (id),
    added_at_ms {integer} NOT NULL
) {keyed table};

-- Credential challenges: each is answered once, in time, or never.
CREATE TABLE challenges (
    id             {text} PRIMARY KEY,
    node_id        {text} NOT NULL REFERENCES nodes (id),
    boot_id        {text} NOT NULL,
    nonce          {text} NOT NULL,
    ek_sha256      {text} NOT NULL,
    -- Who says that it is a TPM's: `maker`, `operator`, `approval`; absent if nobody.
    vouched_by     {text},
    ak_public      {bytes} NOT NULL,
    secret_sha256  {bytes} NOT NULL CHECK (length(secret_sha256) = 32),
    expires_at_ms  {integer} NOT NULL,
    answered_at_ms {integer},
    -- The answer that was believed, and ours.
    request_sha256 {bytes},
    response       {text}
) {keyed table};
CREATE INDEX challenges_by_node ON challenges (node_id);
