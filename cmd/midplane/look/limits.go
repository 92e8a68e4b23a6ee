package look

import (
	"cmp"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
)

var limitsKind = list[api.Limit]{
	noun: "limits", short: "What each tenant and producer may use, what it uses, and what was refused",
	door: connect.AdminDoor, verb: api.LimitList, byUser: true,
	key: func(l api.Limit) api.Key { return api.Key{Tenant: l.Tenant, Site: l.Producer, ID: l.Limit} },
	columns: []output.Column[api.Limit]{
		{Name: "Tenant", Value: func(l api.Limit) string { return l.Tenant }},
		{Name: "Producer", Value: func(l api.Limit) string { return output.Dash(l.Producer) }},
		{Name: "Limit", Value: func(l api.Limit) string { return l.Limit }},
		{Name: "Allowed", Value: func(l api.Limit) string { return amount(l.Limit, l.Value) }, Right: true, Drop: 3},
		{Name: "Used", Value: used, Right: true, Drop: 4},
		{Name: "Refused", Value: func(l api.Limit) string { return strconv.FormatUint(l.Refused, 10) }, Right: true, Drop: 2},
		{Name: "Held back", Value: func(l api.Limit) string { return cmp.Or(output.Ago(l.HeldBackSince), "-") }, Right: true, Drop: 5},
		{Name: "Hint", Value: func(l api.Limit) string { return l.Hint }, Long: true, Drop: 1},
	},
}

// used prints what is used; "?" when it is not known.
func used(l api.Limit) string {
	if l.Used == nil {
		return "?"
	}
	return amount(l.Limit, *l.Used)
}

// amount prints bytes as bytes and rates as rates.
func amount(limit string, n int64) string {
	switch limit, _, _ := strings.Cut(limit, "."); limit {
	case api.LimitTenantBytes, api.LimitProducerBytes:
		return output.Bytes(uint64(max(n, 0))) + "/s"
	case api.LimitMessageSize, api.LimitStorage, api.LimitSpecSize:
		return output.Bytes(uint64(max(n, 0)))
	case api.LimitTenantMessages, api.LimitProducerMessages:
		return strconv.FormatInt(n, 10) + "/s"
	}
	return strconv.FormatInt(n, 10)
}
