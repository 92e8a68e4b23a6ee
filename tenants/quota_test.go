package tenants_test

import (
	"strings"
	"testing"

	"midplane/tenants"
)

// What the file does not say follows from what it says, and everything is finite.
func TestQuotaDefaults(t *testing.T) {
	load := func(quota string) (tenants.Quota, error) {
		s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","quota":` + quota + `}`))
		if err != nil {
			return tenants.Quota{}, err
		}
		return s.Quota, nil
	}
	got, err := load(`{}`)
	want := tenants.Quota{Storage: tenants.DefaultStorage, Connections: 100, MessageRate: 6000, MessageSize: 256 << 10, ConnectionsPerUser: 4,
		Subscriptions: 256, Consumers: 64, MaxAckPending: 10_000, ByteRate: 6000 * 4096, ProducerMessageRate: 1500, ProducerByteRate: 1500 * 4096}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = load(`{"connections":10,"messageRate":3,"producerByteRate":"2KiB"}`)
	if err != nil || got.ProducerMessageRate != 1 || got.ByteRate != 12<<10 || got.ProducerByteRate != 2<<10 {
		t.Errorf("%+v, %v", got, err)
	}
	for field, bad := range map[string]string{
		"connectionsPerUser": "1", "subscriptions": "63", "consumers": "-1", "maxAckPending": "1000001", "byteRate": `"1B"`,
		"producerMessageRate": "-5", "producerByteRate": `"65GiB"`,
	} {
		if _, err := load(`{"` + field + `":` + bad + `}`); err == nil || !strings.Contains(err.Error(), "quota."+field) || !strings.Contains(err.Error(), "allowed is") {
			t.Errorf("%s %s: %v", field, bad, err)
		}
	}
}
