package schemas

import (
	"math/bits"
	"regexp"
	"strings"
)

// kinds is a set of JSON types.
type kinds uint8

const (
	kNull kinds = 1 << iota
	kBoolean
	kInteger
	kNumber
	kString
	kArray
	kObject
	kAll = kNull | kBoolean | kInteger | kNumber | kString | kArray | kObject
)

// kindNames is in the order in which messages list them.
var kindNames = []struct {
	name string
	kind kinds
}{
	{"null", kNull}, {"boolean", kBoolean}, {"number", kNumber}, {"integer", kInteger},
	{"string", kString}, {"array", kArray}, {"object", kObject},
}

func (k kinds) String() string {
	var names []string
	for _, n := range kindNames {
		if k&n.kind != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, " or ")
}

// node is one compiled subschema. It never changes afterwards, so that any number
// of goroutines can use one tree. Subschemas that refer to themselves make a
// graph; the depth limit of payloads ends a walk over it.
type node struct {
	never   bool // the schema false
	types   kinds
	choices []choice // const, enum
	str     strRules
	num     numRules
	obj     *objRules // nil: any object
	arr     arrRules
}

// anything is the schema true.
var anything = &node{types: kAll, str: noStr, arr: noArr}

// choice is an enum, or a const as an enum of one. Scalars only.
type choice struct {
	rule    string
	yes, no bool // the literals among the values
	null    bool
	strings []string
	index   map[string]struct{} // instead of strings when there are many
	numbers []*bound
	text    string
}

func (c *choice) hasString(b []byte) bool {
	if c.index != nil {
		_, ok := c.index[string(b)]
		return ok
	}
	for _, s := range c.strings {
		if s == string(b) {
			return true
		}
	}
	return false
}

func (c *choice) hasNumber(n *number) bool {
	for _, b := range c.numbers {
		if n.cmp(b) == 0 {
			return true
		}
	}
	return false
}

// strRules: -1 means no limit.
type strRules struct {
	min, max int
	pattern  *regexp.Regexp
	dateTime bool
}

var noStr = strRules{min: -1, max: -1}

type numRules struct {
	minimum, maximum, above, below *bound
}

type arrRules struct {
	min, max int
	items    *node // nil: any
}

var noArr = arrRules{min: -1, max: -1}

// maxProps is how many named properties one object of a streaming schema has.
const maxProps = 256

// seen is the set of named properties that a payload's object has.
type seen [maxProps / 64]uint64

type property struct {
	name string
	node *node // nil: required by name, forbidden by additionalProperties
}

type objRules struct {
	min, max int
	props    []property // in the order of the schema: payloads mostly keep to it
	index    map[string]int
	required seen
	words    int   // how many words of seen are in use
	extra    *node // additionalProperties; nil: none allowed
}

// anyObject is an object without rules.
var anyObject = &objRules{min: -1, max: -1, extra: anything}

// ahead is how many properties are compared before a lookup: a payload in the
// schema's order leaves out only some of the optional properties.
const ahead = 4

// find returns the position of the property key, trying first those that
// follow the last; -1 for none.
func (o *objRules) find(key []byte, next int) int {
	for i := next; i < len(o.props) && i < next+ahead; i++ {
		if o.props[i].name == string(key) {
			return i
		}
	}
	if i, ok := o.index[string(key)]; ok {
		return i
	}
	return -1
}

// missing returns the first required property that s lacks.
func (o *objRules) missing(s *seen) (string, bool) {
	for w := range o.words {
		if lacks := o.required[w] &^ s[w]; lacks != 0 {
			return o.props[w*64+bits.TrailingZeros64(lacks)].name, true
		}
	}
	return "", false
}
