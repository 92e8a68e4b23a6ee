package node

import (
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
	"midplane/subject"
)

func options(cfg Config) (*server.Options, error) {
	host, port, err := hostPort(cfg.Client)
	if err != nil {
		return nil, err
	}
	op, err := server.ReadOperatorJWT(cfg.OperatorJWT)
	if err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Invalid, err, "operator JWT %s", cfg.OperatorJWT), "restore it from a copy, or from another node's folder")
	}
	o := &server.Options{
		ServerName:      cfg.Name,
		Host:            host,
		Port:            port,
		NoSigs:          true,
		JetStream:       true,
		StoreDir:        filepath.Join(cfg.Dir, storeFolder),
		JetStreamDomain: "midplane",
		JetStreamKey:    cfg.StoreKey,
		JetStreamCipher: server.ChaCha,
		// R1 memory is for ordered consumers and KV watches only.
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  cfg.MaxStore,
		JetStreamLimits:    server.JSLimitOpts{Duplicates: 2 * time.Hour},
		SyncAlways:         !cfg.UnsafeNoSync,
		// The account's limit; a tenant's own is kept at the door.
		MaxPayload:             cfg.MaxPayload,
		MaxControlLine:         4096,
		MaxConn:                20_000,
		PingInterval:           15 * time.Second,
		MaxPingsOut:            2,
		WriteDeadline:          10 * time.Second,
		LameDuckDuration:       30 * time.Second,
		LameDuckGracePeriod:    time.Second,
		DisableJetStreamBanner: true,
		// No HTTP monitoring: it shows capability subjects. /metrics is ours.
		SystemAccount: cfg.System,
		TLSConfig:     cfg.ClientTLS,
		TLSTimeout:    5,
		AuthTimeout:   5,
	}
	if cfg.MaxStore == 0 {
		o.JetStreamMaxStore = -1
	}
	if cfg.ClientTLS != nil {
		o.TLS = true
	}
	o.TrustedOperators = append(o.TrustedOperators, op)
	if cfg.Route == "" {
		return o, nil
	}
	rhost, rport, err := hostPort(cfg.Route)
	if err != nil {
		return nil, err
	}
	// The door is local: a producer's message is handled by the node it arrived
	// at, or the server would spread the queue group over the cluster at random
	// and one producer's messages would overtake each other.
	local := &server.SubjectPermission{Deny: []string{subject.IngressAll}}
	o.Cluster = server.ClusterOpts{
		Name:        cfg.Cluster,
		Host:        rhost,
		Port:        rport,
		NoAdvertise: true,
		// The others get the name in this node's certificate: by default the server
		// gives them the address that a connection came from.
		Advertise:   cfg.Peer,
		Permissions: &server.RoutePermissions{Import: local, Export: local},
		TLSConfig:   cfg.RouteTLS,
		TLSTimeout:  5,
		PoolSize:    3,
		AuthTimeout: 5,
	}
	for _, p := range cfg.Peers {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: p})
	}
	return o, nil
}

func hostPort(addr string) (string, int, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fault.New(fault.Invalid, "address %q is not host:port", addr)
	}
	port, err := strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fault.New(fault.Invalid, "address %q has no valid port", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}
