package look

import (
	"context"
	"fmt"
	"strconv"

	"midplane/api"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
)

var ledgerKind = list[api.Account]{
	noun: "ledger", short: "What became of the messages of each producer: acknowledged, received, missing, given up",
	door: connect.QueryDoor, verb: api.LedgerList, bySite: true, byUser: true,
	key: func(a api.Account) api.Key { return api.Key{Tenant: a.Tenant, Site: a.Site, ID: a.ID} },
	add: addUnsent,
	columns: []output.Column[api.Account]{
		{Name: "Tenant", Value: func(a api.Account) string { return a.Tenant }},
		{Name: "Site", Value: func(a api.Account) string { return a.Site }, Drop: 1},
		{Name: "Producer", Value: func(a api.Account) string { return a.Producer }},
		{Name: "Stream", Value: func(a api.Account) string { return a.Stream }},
		{Name: "Acknowledged", Value: func(a api.Account) string { return strconv.FormatUint(a.Acknowledged, 10) }, Right: true, Drop: 4},
		{Name: "Received", Value: func(a api.Account) string { return strconv.FormatUint(a.Received, 10) }, Right: true, Drop: 5},
		{Name: "Missing", Value: missing, Long: true},
		{Name: "Given up", Value: func(a api.Account) string { return strconv.FormatUint(a.GivenUp, 10) }, Right: true, Drop: 6},
		{Name: "Duplicates", Value: func(a api.Account) string { return strconv.FormatUint(a.Duplicates, 10) }, Right: true, Drop: 2},
		{Name: "Oldest unsent", Value: func(a api.Account) string { return output.Ago(a.OldestUnsent) }, Right: true, Drop: 3},
		{Name: "Epoch", Value: func(a api.Account) string { return strconv.FormatInt(a.Epoch, 10) }, Right: true, Wide: true},
	},
}

// addUnsent adds what pollers report. Without an answer it is not known.
func addUnsent(ctx context.Context, c *connect.Client, req api.ListRequest, rows []api.Account) {
	pollers, err := api.All[api.Poller](ctx, connect.AdminDoor(c), api.PollerList, api.ListRequest{Tenant: req.Tenant, Site: req.Site})
	if err == nil {
		api.AddUnsent(rows, pollers)
	}
}

// missing prints the ranges that are missing.
func missing(a api.Account) string {
	if len(a.Missing) == 0 {
		return "-"
	}
	out := ""
	for i, m := range a.Missing {
		if i > 0 {
			out += ", "
		}
		out += strconv.FormatUint(m[0], 10)
		if m[1] > m[0] {
			out += fmt.Sprintf("-%d", m[1])
		}
	}
	return out
}
