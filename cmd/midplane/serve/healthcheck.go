package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/console"
	"midplane/fault"
	"midplane/telemetry/export"
)

// NewHealthcheck is the command "healthcheck", for supervisors that can only run a command, such as
// Docker's HEALTHCHECK in an image that holds nothing but this program.
func NewHealthcheck(sh *shell.Shell) *cobra.Command {
	timeout := 4 * time.Second
	cmd := &cobra.Command{
		Use:   "healthcheck [URL]",
		Short: "Ask a server on this machine whether it is ready",
		Long: `Asks URL, which is a server's /readyz (or /healthz), and exits 0 when it is
ready. Without URL it asks at the addresses that servers have by default: at
least one must answer, and all that answer must be ready.`,
		Example: `  midplane healthcheck
  midplane healthcheck http://127.0.0.1:8481/readyz`,
		Args: shell.Args(0, 1, "URL of /readyz"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if timeout <= 0 {
				return shell.Usage(cmd, "--timeout %s is not positive", timeout)
			}
			ctx, stop := context.WithTimeout(cmd.Context(), timeout)
			defer stop()
			if len(given) == 0 {
				return askServers(ctx, sh.Out, []string{console.DefaultAddr, nodeHTTP, pollerHTTP})
			}
			if u, err := url.Parse(given[0]); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return shell.Usage(cmd, "%q is not a URL", given[0])
			}
			return askHealth(ctx, sh.Out, given[0])
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait for the answer")
	return cmd
}

// askServers asks every address. That no server answers is as bad as one that is
// not ready.
func askServers(ctx context.Context, out *output.Output, addrs []string) error {
	answered := false
	for _, addr := range addrs {
		err := askHealth(ctx, out, "http://"+addr+"/readyz")
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		answered = answered || err == nil
	}
	if !answered {
		return fault.WithHint(fault.New(fault.Unavailable, "nothing answers at %s", strings.Join(addrs, ", ")),
			"give the URL of the server's /readyz when it has another --http")
	}
	return nil
}

// askHealth asks one URL. The error is NotFound when no server listens there.
func askHealth(ctx context.Context, out *output.Output, target string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "URL")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fault.New(fault.Unavailable, "%s does not answer in time", target)
		}
		return fault.Wrap(fault.NotFound, err, "ask")
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		out.Say("%s: ready", target)
		return nil
	}
	return fault.New(fault.Unavailable, "%s: not ready%s", target, whyNotReady(resp.Body))
}

// whyNotReady reads the failed checks from the body of /readyz.
func whyNotReady(body io.Reader) string {
	var r export.Readiness
	if json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&r) != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range r.Checks {
		if !c.OK {
			fmt.Fprintf(&b, "; %s: %s", output.Printable(c.Name), output.Printable(c.Error))
		}
	}
	return b.String()
}
