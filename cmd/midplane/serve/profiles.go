package serve

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"

	"midplane/fault"
	"midplane/internal/run"
	"midplane/tenants/enrol"
)

// profilesPart serves the profiles of the process at addr, apart from all other
// HTTP: a profile shows what is in memory, and one of the CPU costs some.
func profilesPart(addr string, log *slog.Logger) run.Part {
	return httpListener{name: "pprof", flag: "--pprof", addr: addr, handler: profiles(), opened: func(l net.Listener) error {
		if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // a name that stands for another address
			return checkProfiles(l.Addr().String())
		}
		log.Info("serving profiles", "address", "http://"+l.Addr().String()+profilesPath)
		return nil
	}}.part()
}

const profilesPath = "/debug/pprof/"

// profiles is a mux of its own: on the default one, which importing the package
// fills, they would be reachable through any server that uses it.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+profilesPath, pprof.Index)
	mux.HandleFunc("GET "+profilesPath+"cmdline", http.NotFound) // a command line may name what is secret
	mux.HandleFunc("GET "+profilesPath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+profilesPath+"symbol", pprof.Symbol)
	mux.HandleFunc("POST "+profilesPath+"symbol", pprof.Symbol)
	mux.HandleFunc("GET "+profilesPath+"trace", pprof.Trace)
	return named(mux)
}

// named refuses requests by another name than that of this machine itself: a page
// in a browser on this machine could reach loopback by a name of its own.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err != nil || !enrol.Loopback(host) {
			http.Error(w, "profiles are served to loopback only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkProfiles refuses an address that other machines can reach; "" serves none.
func checkProfiles(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return fault.WithHint(fault.New(fault.Invalid, "--pprof %q is not host:port", addr), "write it like 127.0.0.1:6060")
	case !enrol.Loopback(host):
		return fault.WithHint(fault.New(fault.Invalid, "--pprof %s can be reached by other machines", addr),
			"use 127.0.0.1: profiles show what is in memory; from elsewhere, forward the port with ssh")
	}
	return nil
}
