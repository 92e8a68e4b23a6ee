-- +goose Up
-- The public key of the account that was read: the same id with another one is
-- another customer.
ALTER TABLE tenants ADD COLUMN account TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE tenants DROP COLUMN account;
