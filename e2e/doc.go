// Package e2e holds the scenarios that need a whole deployment, written as
// stories and run against real processes: once as containers (docker-compose,
// from docker-compose.yml as it is), once as plain processes on loopback. It
// looks from outside: the command line, the HTTP API, a stock NATS client.
//
//	go test -tags e2e -count=1 -timeout 15m ./e2e
//
// A tool that is missing fails the run with a sentence. It may import
// everything, and nothing imports it.
package e2e
