// Package shell is what every command is given: its streams, its settings, how
// it prints (output) and how it asks the cluster (connect); and the rules that
// hold for all of them: what a wrong command line is answered with, which exit
// code an error has. It knows no command.
package shell

import (
	"cmp"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/config"
	"midplane/fault"
)

// Groups of commands, in the order of the help. Every flag of a command of
// GroupRun is a setting; of other commands only the common flags are, so that
// no --yes can come from an environment.
const (
	GroupRun    = "run"
	GroupLook   = "look"
	GroupChange = "change"
	GroupOther  = "other"
)

// Shell is what a command needs of the world around it.
type Shell struct {
	Stdin   io.Reader
	Out     *output.Output
	Version string // of this program

	// Settings are those of the command that runs: all flags of a server, the
	// common ones of any other command. Valid once a command runs, as Timeout is.
	Settings *config.Settings
	Timeout  time.Duration // of one answer of the cluster

	context string // --context
	file    string // --config
	started bool   // the command line was understood
}

// New returns the shell of one command line.
func New(version string, stdin io.Reader, stdout, stderr io.Writer) *Shell {
	return &Shell{Version: version, Stdin: stdin, Out: &output.Output{Stdout: output.Clean(stdout), Stderr: output.Clean(stderr)}}
}

// CommonFlags adds the flags that every command has.
func (s *Shell) CommonFlags(f *pflag.FlagSet) {
	s.Out.Format = output.TableFormat
	f.VarP(&s.Out.Format, "output", "o", "how to print: table, wide, json or yaml; get knows name too")
	f.StringVar(&s.context, "context", connect.DefaultContext, "NATS context to connect with, as the nats CLI keeps them")
	f.DurationVar(&s.Timeout, "request-timeout", 10*time.Second, "how long to wait for one answer of the cluster")
	f.StringVar(&s.file, "config", "", "file of settings (default: midplane/config.yaml below $XDG_CONFIG_HOME, else /etc/midplane/config.yaml)")
}

// Prepare finds the settings before a command runs.
func (s *Shell) Prepare(cmd *cobra.Command, _ []string) error {
	if !needsSettings(cmd) {
		s.started = true
		return nil
	}
	settings, err := s.Load(cmd, cmd)
	if err != nil {
		return err
	}
	if s.Timeout <= 0 {
		return fault.WithHint(fault.New(fault.Invalid, "request-timeout %s is not positive", s.Timeout), "give it like 10s")
	}
	if s.Out.Format == output.Name && Top(cmd).Name() != "get" {
		return Usage(cmd, "-o name is for get only")
	}
	s.Settings, s.started = settings, true
	return s.natsTimeout()
}

// Load finds the settings of command of; cmd is the one that runs.
func (s *Shell) Load(cmd, of *cobra.Command) (*config.Settings, error) {
	root := cmd.Root()
	known := names(root.PersistentFlags())
	for _, c := range root.Commands() {
		if c.GroupID == GroupRun {
			known = append(known, names(c.Flags())...)
		}
	}
	flags := pflag.NewFlagSet(of.Name(), pflag.ContinueOnError)
	flags.AddFlagSet(root.PersistentFlags())
	if of.GroupID == GroupRun {
		flags.AddFlagSet(of.Flags()) // has the common ones too once it is parsed
	}
	return config.Load(flags, s.file, config.Known(known...))
}

func names(f *pflag.FlagSet) []string {
	var out []string
	f.VisitAll(func(f *pflag.Flag) { out = append(out, f.Name) })
	return out
}

// needsSettings is false for what must work with any settings, also wrong ones.
func needsSettings(cmd *cobra.Command) bool {
	switch Top(cmd).Name() {
	case "midplane", "help", "completion", "version", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return false
	}
	return true
}

// Target is where this command line connects, and as whom.
func (s *Shell) Target() connect.Target {
	return connect.FindTarget(s.context, s.Settings != nil && s.Settings.Origin("context") != "default")
}

// WithClient connects, runs f and disconnects.
func (s *Shell) WithClient(f func(c *connect.Client) error) error {
	c, err := s.Target().Open(s.Timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// natsTimeout takes NATS_TIMEOUT for the setting request-timeout when no source
// of our own gives it.
func (s *Shell) natsTimeout() error {
	if s.Settings.Origin("request-timeout") != "default" {
		return nil
	}
	d, err := connect.EnvironmentTimeout()
	s.Timeout = cmp.Or(d, s.Timeout)
	return err
}

// Describe lists settings as they count, also where the variables of the nats
// CLI do.
func (s *Shell) Describe(settings *config.Settings) []config.Setting {
	list := slices.Clone(settings.Describe())
	for i, one := range list {
		switch t := s.Target(); {
		case one.Key == "context" && one.Origin == "default" && t.From != "":
			list[i].Value, list[i].Origin = cmp.Or(t.Context, "(none)"), t.From
		case one.Key == "request-timeout" && one.Origin == "default" && os.Getenv("NATS_TIMEOUT") != "":
			list[i].Value, list[i].Origin = s.Timeout.String(), "environment NATS_TIMEOUT"
		}
	}
	return list
}
