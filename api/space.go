package api

// FormatSpace is of how a tenant's storage is kept: 2 is streams that the server
// does not bound; the doors keep each stream's share, and the account the sum.
// With 1 each stream has its share as the server's limit.
const FormatSpace = "space"
