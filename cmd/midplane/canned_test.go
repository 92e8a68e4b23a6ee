package main

import (
	_ "embed"

	"midplane/api"
)

// What the fake answers. Some times are not UTC and some lists are null on
// purpose: the output must have neither.

var canned = map[string]string{
	api.TenantList: `[
	{"id":"acme","tenant":"acme","name":"Acme Ltd","contact":"noc@acme.example","account":"AACME","policy":"enforce","ready":true,"sites":1,"pollers":1,"devices":2,"revision":7,"conditions":null},
	{"id":"globex","tenant":"globex","name":"Globex","contact":"","account":"AGLOBEX","policy":"warn","ready":false,"sites":1,"pollers":1,"devices":1,"revision":9,
	 "conditions":[{"type":"AccountPushed","ok":true},{"type":"IngressOpen","ok":false,"message":"node n3 is down"}]}]`,
	api.SiteList: `[
	{"id":"syd","tenant":"acme","name":"Sydney","pollers":["syd-01"],"devices":2},
	{"id":"lab","tenant":"globex","name":"Lab","pollers":null,"devices":1}]`,
	api.PollerList: `[
	{"id":"syd-01","tenant":"acme","site":"syd","embedded":true,"status":"online","lastSeen":"2026-03-01T08:00:00Z","version":"v1","devices":2,"revision":7,"outbox":3,"epoch":1772323200000,"unsent":[{"stream":"EVENTS","messages":3,"oldest":"2026-03-01T09:00:00+01:00"},{"stream":"STATE","messages":0,"oldest":null}]},
	{"id":"lab-01","tenant":"globex","site":"lab","embedded":false,"status":"pending","version":"","devices":1,"revision":0,"outbox":0}]`,
	api.StreamList: `[
	{"id":"EVENTS","tenant":"acme","kind":"event","messages":1200,"bytes":524288,"maxBytes":1048576,"firstSeq":1,"lastSeq":1200,"leader":"n1","replicas":["n2","n3 (behind)"],"readFloor":1100,"heldBy":"primary core-1"},
	{"id":"STATE","tenant":"acme","kind":"state","messages":12,"bytes":2048,"maxBytes":1048576,"firstSeq":1,"lastSeq":90,"leader":"","replicas":null,"readFloor":90}]`,
	api.LedgerList: `[
	{"id":"syd-01/1772323200000/EVENTS","tenant":"acme","site":"syd","producer":"syd-01","epoch":1772323200000,"stream":"EVENTS","acknowledged":1040,"received":1043,"missing":[[17,19],[22,22]],"givenUp":4,"duplicates":1,"oldestUnsent":null},
	{"id":"syd-01/1772323200000/STATE","tenant":"acme","site":"syd","producer":"syd-01","epoch":1772323200000,"stream":"STATE","acknowledged":77,"received":78,"missing":null,"givenUp":0,"duplicates":0,"oldestUnsent":null},
	{"id":"lab-01/1772323200001/EVENTS","tenant":"globex","site":"lab","producer":"lab-01","epoch":1772323200001,"stream":"EVENTS","acknowledged":5,"received":6,"missing":[],"givenUp":0,"duplicates":0,"oldestUnsent":null}]`,
	api.LimitList: `[
	{"tenant":"acme","producer":"","limit":"byteRate","value":24576000,"used":2048,"refused":0,"heldBackSince":null,"hint":"raise quota.byteRate"},
	{"tenant":"acme","producer":"","limit":"maxAckPending","value":10000,"used":null,"refused":0,"heldBackSince":null,"hint":"raise quota.maxAckPending"},
	{"tenant":"acme","producer":"feed","limit":"producerMessageRate","value":1500,"used":1500,"refused":42,"heldBackSince":"2026-03-01T10:00:00+02:00","hint":"raise quota.producerMessageRate"},
	{"tenant":"globex","producer":"","limit":"messageRate","value":6000,"used":0,"refused":0,"heldBackSince":null,"hint":"raise quota.messageRate"}]`,
	api.SchemaList: `[
	{"id":"net.ping.v1","tenant":"","type":"net.ping.v1","kind":"metric","version":1,"schema":{"type":"object"},"example":{"rttMs":1.5,"lossPercent":0}},
	{"id":"acme.door.v1","tenant":"acme","type":"acme.door.v1","kind":"event","version":2,"schema":{"type":"object"},"example":{"open":true}}]`,
	api.DeviceList: `[
	{"id":"r1","tenant":"acme","site":"syd","address":"192.0.2.1","name":"router-1","status":"up","lastSeen":"2026-03-01T10:00:00+02:00","since":"2026-02-28T08:00:00Z","poller":"syd-01","description":"RouterOS","interfaces":2,"checks":1},
	{"id":"sw1","tenant":"acme","site":"syd","address":"192.0.2.2","name":"evil\u001b[31mswitch","status":"down","message":"no answer in 3 tries","interfaces":0,"checks":0},
	{"id":"pc","tenant":"globex","site":"lab","address":"192.0.2.3","name":"","status":"unknown","interfaces":0,"checks":0}]`,
	api.InterfaceList: `[
	{"id":"r1/if/1","tenant":"acme","site":"syd","device":"r1","index":"1","name":"eth0","alias":"uplink","adminStatus":"up","operStatus":"up","speed":1000000000,"mac":"00:00:5e:00:53:01","lastSeen":"2026-03-01T08:00:00Z"},
	{"id":"r1/if/2","tenant":"acme","site":"syd","device":"r1","index":"2","name":"eth1","adminStatus":"up","operStatus":"down","speed":0}]`,
	api.CheckList: `[
	{"id":"r1/check/web","tenant":"acme","site":"syd","device":"r1","name":"web","collector":"http","target":"https://192.0.2.1/","status":"ok","latencyMs":12.3456,"notAfter":"2026-12-01T00:00:00Z","lastSeen":"2026-03-01T08:00:00Z"}]`,
}

const cannedEvents = `[
	{"tenant":"acme","site":"syd","id":"syd-01/1/EVENTS/1","time":"2026-03-01T08:00:00Z","received":"2026-03-01T08:00:00.1Z","severity":"notice","type":"net.reachability.changed.v1","entity":"r1","message":"r1 is up","producer":"syd-01","traceId":"0af7651916cd43dd8448eb211c80319c","stream":"EVENTS","seq":1,"position":1,"data":{"device":"r1","from":"unknown","to":"up","message":"r1 is up"}},
	{"tenant":"acme","site":"syd","id":"syd-01/1/EVENTS/2","time":"2026-03-01T11:00:00+02:00","received":"2026-03-01T09:00:00.1Z","severity":"error","type":"net.interface.changed.v1","entity":"r1/if/2","message":"eth1 is down","producer":"syd-01","traceId":"","stream":"EVENTS","seq":2,"position":2},
	{"tenant":"globex","site":"lab","id":"x","time":"2026-03-01T10:00:00Z","received":"2026-03-01T10:00:00.1Z","severity":"warning","type":"net.check.changed.v1","entity":"pc/check/web","message":"web is slow","producer":"lab-01","traceId":"","stream":"EVENTS","seq":1,"position":3}]`

const cannedNewEvent = `{"items":[
	{"tenant":"acme","site":"syd","id":"syd-01/1/EVENTS/3","time":"2026-03-01T11:00:00Z","received":"2026-03-01T11:00:00.1Z","severity":"critical","type":"net.reachability.changed.v1","entity":"r1","message":"r1 is down","producer":"syd-01","traceId":"","stream":"EVENTS","seq":3,"position":4}]}`

const cannedDetail = `{
	"device":{"id":"r1","tenant":"acme","site":"syd","address":"192.0.2.1","name":"router-1","status":"up","lastSeen":"2026-03-01T08:00:00Z","interfaces":1,"checks":1},
	"inventory":{"device":"r1","name":"router-1","os":"RouterOS 7","serial":"S1","components":[{"index":"1","class":"memory","name":"RAM","bytes":1073741824}]},
	"interfaces":[{"id":"r1/if/1","tenant":"acme","site":"syd","device":"r1","index":"1","name":"eth0","adminStatus":"up","operStatus":"up","speed":2500000000}],
	"checks":[{"id":"r1/check/web","tenant":"acme","site":"syd","device":"r1","name":"web","collector":"http","target":"https://192.0.2.1/","status":"ok","latencyMs":12.5}],
	"metrics":[{"entity":"r1","type":"net.ping.v1","name":"rttMs","value":1.5,"time":"2026-03-01T08:00:00Z","points":[{"time":"2026-03-01T07:59:00Z","value":9.25},{"time":"2026-03-01T08:00:00Z","value":1.5}]}],
	"events":[{"tenant":"acme","site":"syd","id":"e1","time":"2026-03-01T08:00:00Z","received":"2026-03-01T08:00:00Z","severity":"notice","type":"net.reachability.changed.v1","entity":"r1","message":"r1 is up","producer":"syd-01","traceId":"","stream":"EVENTS","seq":1,"position":1}]}`

//go:embed testdata/cluster.json
var cannedCluster string

//go:embed testdata/primary.json
var cannedPrimary string
