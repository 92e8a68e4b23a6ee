package console

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"midplane/fault"
)

//go:embed static
var static embed.FS

// contentTypes are named here and not guessed from the machine's mime table:
// with nosniff, a wrong guess would leave the page without its script.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (c *Console) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, k := range kinds {
		mux.HandleFunc("/api/v1/"+k.name, c.serve(k))
	}
	mux.HandleFunc("/api/v1/devices/{tenant}/{site}/{device}", c.serveDevice)
	mux.HandleFunc("/api/v1/status", c.serveStatus)
	mux.HandleFunc("/api/v1/events/stream", c.serveStream)
	if c.cfg.Telemetry != nil {
		for _, p := range []string{"/metrics", "/healthz", "/readyz", "/version"} {
			mux.Handle(p, c.cfg.Telemetry)
		}
	}
	if err := c.routePage(mux); err != nil {
		return nil, err
	}
	mux.HandleFunc("/", notThere)
	handler, err := c.watch(c.guard(mux))
	return handler, err
}

// routePage adds the page and its files, all in memory.
func (c *Console) routePage(mux *http.ServeMux) error {
	tmpl, err := template.ParseFS(static, "static/page.html")
	if err != nil {
		return fault.Wrap(fault.Other, err, "console: the page")
	}
	var page bytes.Buffer
	if err := tmpl.Execute(&page, map[string]string{"Version": c.cfg.Version}); err != nil {
		return fault.Wrap(fault.Other, err, "console: the page")
	}
	mux.HandleFunc("/{$}", file("text/html; charset=utf-8", page.Bytes()))
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		return fault.Wrap(fault.Other, err, "console: its files")
	}
	for _, f := range files {
		kind, ok := contentTypes[path.Ext(f.Name())]
		if !ok {
			continue
		}
		body, err := static.ReadFile("static/" + f.Name())
		if err != nil {
			return fault.Wrap(fault.Other, err, "console: %s", f.Name())
		}
		mux.HandleFunc("/static/"+f.Name(), file(kind, body))
	}
	return nil
}

func file(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // who asked may be gone
	}
}
