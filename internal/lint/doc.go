// Package lint holds the house rules as tests: who may import whom, which
// package is the gatekeeper of which library, that every package says what it
// is for, that files stay short. It has no code of its own.
package lint
