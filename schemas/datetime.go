package schemas

import (
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// dateTime is the format "date-time" of both validators: RFC 3339 with capital
// T and Z and without leap seconds. That is narrower than the RFC, and just what
// time.Time and most other readers decode: a message that the ingress accepted
// must not break a reader.
func dateTime(b []byte) bool {
	if len(b) < len("2006-01-02T15:04:05Z") {
		return false
	}
	for _, at := range [...]int{0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18} {
		if b[at]-'0' > 9 {
			return false
		}
	}
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return false
	}
	year, month, day := two(b[0:])*100+two(b[2:]), two(b[5:]), two(b[8:])
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return false
	}
	if two(b[11:]) > 23 || two(b[14:]) > 59 || two(b[17:]) > 59 {
		return false
	}
	return zone(fractionOf(b[19:]))
}

// fractionOf skips the fraction of a second; it returns nil when there is no digit.
func fractionOf(b []byte) []byte {
	if b[0] != '.' {
		return b
	}
	i := 1
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == 1 {
		return nil
	}
	return b[i:]
}

func zone(b []byte) bool {
	if len(b) == 1 {
		return b[0] == 'Z'
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return false
	}
	for _, at := range [...]int{1, 2, 4, 5} {
		if b[at]-'0' > 9 {
			return false
		}
	}
	return two(b[1:]) <= 23 && two(b[4:]) <= 59
}

func two(b []byte) int { return int(b[0]-'0')*10 + int(b[1]-'0') }

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// dateTimeFormat is the same check for the library.
var dateTimeFormat = &jsonschema.Format{
	Name: "date-time",
	Validate: func(v any) error {
		if s, ok := v.(string); ok && !dateTime([]byte(s)) {
			return fmt.Errorf("want RFC 3339, like 2006-01-02T15:04:05Z")
		}
		return nil
	},
}
