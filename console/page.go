package console

import (
	"embed"
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

// pageRoutes are the page and its files, all in memory. They are the same for
// all readers and hold nothing of this cluster: what they show they ask for.
func pageRoutes() ([]route, error) {
	page, err := static.ReadFile("static/page.html")
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "console: the page")
	}
	out := []route{{method: http.MethodGet, path: "/{$}", need: anyone, serve: file("text/html; charset=utf-8", page)}}
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "console: its files")
	}
	for _, f := range files {
		kind, ok := contentTypes[path.Ext(f.Name())]
		if !ok {
			continue
		}
		body, err := static.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, fault.Wrap(fault.Other, err, "console: %s", f.Name())
		}
		out = append(out, route{method: http.MethodGet, path: "/static/" + f.Name(), need: anyone, serve: file(kind, body)})
	}
	return out, nil
}

func file(kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body) // who asked may be gone
	}
}
