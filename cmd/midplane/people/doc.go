// Package people decides who may connect: users of tenants and admins with
// their credentials, tokens of pollers, subscriptions, revocations, the users
// of the page, and the NATS contexts that were saved of them.
package people
