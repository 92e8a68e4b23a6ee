// Package lint holds the house rules as tests: who may import whom, layer by layer
// and room by room, which packages may import which library, how long files are and
// how many methods a type has, how plain the language is. It has no code of its own.
package lint
