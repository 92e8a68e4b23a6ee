package config

import (
	"regexp"
	"sort"
	"strings"

	"midplane/fault"
)

// EnvPrefix begins every environment variable of the program.
const EnvPrefix = "MIDPLANE_"

// EnvName returns the environment variable of a setting: "http-open" is
// MIDPLANE_HTTP_OPEN. An empty variable counts as one that is not set.
func EnvName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// allowedEnv are variables with our prefix that are no settings: the file to
// read, the master key and that of the store (which a node reads itself), the
// tests' own, secrets that a tenant's file refers to
// ("env:MIDPLANE_SECRET_…"), and what Kubernetes puts into every container for a
// service whose name begins with "midplane".
var allowedEnv = regexp.MustCompile(`^MIDPLANE_(` +
	`CONFIG|MASTER_KEY|STORE_KEY|TEST.*|SECRET_.+|` +
	`([A-Z0-9_]+_)?SERVICE_(HOST|PORT(_.+)?)|` +
	`([A-Z0-9_]+_)?PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?` +
	`)$`)

// checkEnvironment refuses a variable with our prefix that means nothing.
func checkEnvironment(environ []string, known map[string]bool) error {
	names := map[string]bool{}
	for key := range known {
		names[EnvName(key)] = true
	}
	environ = append([]string(nil), environ...)
	sort.Strings(environ) // the same mistake is reported every time
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" || !strings.HasPrefix(name, EnvPrefix) || names[name] || allowedEnv.MatchString(name) {
			continue
		}
		err := fault.New(fault.Invalid, "environment variable %s names no setting", name)
		if near := nearest(name, names); near != "" {
			return fault.WithHint(err, "did you mean %s?", near)
		}
		return fault.WithHint(err, "unset it; secrets that tenants' files refer to may be called MIDPLANE_SECRET_…, and `midplane config view` lists the settings")
	}
	return nil
}

// nearest returns the candidate that name is most likely a typo of, or "".
func nearest(name string, candidates map[string]bool) string {
	best, bestAt := "", len(name)/3+1
	for candidate := range candidates {
		d := distance(name, candidate)
		if d < bestAt || d == bestAt && best != "" && candidate < best {
			best, bestAt = candidate, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
