// Package config finds the settings of the program: of its daemons and of the
// command line. It is the only package that imports viper.
//
// A setting is a flag of a command. The same name, in upper case with
// underscores and MIDPLANE_ in front, is its environment variable, and as it
// is, its key in the file. The strongest source wins:
//
//	flag  >  environment  >  file  >  default
//
// A mistyped key of a file or a mistyped MIDPLANE_ variable is an error and
// never ignored, since a setting that has no effect is found too late. Package
// config is a door: it may import fault, and nothing imports it but commands.
package config

import (
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"midplane/fault"
)

// notSettings are flags that every command has and no other source may set.
var notSettings = map[string]bool{"help": true, "version": true, "config": true}

// Settings are the effective settings of one command.
type Settings struct {
	viper  *viper.Viper
	flags  map[string]*pflag.Flag
	origin map[string]string
	file   string
}

// Option changes what Load accepts.
type Option func(*loader)

// Known names settings of other commands: in a file or in the environment they
// are legal, and ignored.
func Known(names ...string) Option {
	return func(l *loader) {
		for _, name := range names {
			if !notSettings[name] {
				l.known[name] = true
			}
		}
	}
}

type loader struct {
	flags *pflag.FlagSet
	known map[string]bool
}

// Load finds the settings named by flags, which have been parsed. file is the
// file to read; "" means $MIDPLANE_CONFIG, else the first of DefaultFiles that
// exists, else none. Afterwards the flags' own variables hold the effective
// values too. The error is Invalid and names the place of the mistake, or
// NotFound when file is named and not there.
func Load(flags *pflag.FlagSet, file string, opts ...Option) (*Settings, error) {
	l := &loader{flags: flags, known: map[string]bool{}}
	for _, opt := range opts {
		opt(l)
	}
	s := &Settings{
		viper:  viper.NewWithOptions(viper.KeyDelimiter("::")),
		flags:  map[string]*pflag.Flag{},
		origin: map[string]string{},
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if !notSettings[f.Name] {
			s.flags[f.Name] = f
			l.known[f.Name] = true
		}
	})
	if err := checkEnvironment(os.Environ(), l.known); err != nil {
		return nil, err
	}
	path, err := findFile(file)
	if err != nil {
		return nil, err
	}
	entries, err := readFile(path, l.known)
	if err != nil {
		return nil, err
	}
	s.file = path
	for _, key := range s.keys() {
		if err := s.settle(key, entries); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// settle decides where key's value comes from, checks it with the flag's own
// parser and hands it to viper.
func (s *Settings) settle(key string, entries map[string]entry) error {
	f := s.flags[key]
	if f.Changed && isSecret(f) {
		return fault.WithHint(fault.New(fault.Invalid, "--%s: a secret does not belong on a command line, where every process can read it", key),
			"put it into %s or into the configuration file", EnvName(key))
	}
	if err := s.viper.BindPFlag(key, f); err != nil {
		return fault.Wrap(fault.Other, err, "bind --%s", key)
	}
	if err := s.viper.BindEnv(key, EnvName(key)); err != nil {
		return fault.Wrap(fault.Other, err, "bind %s", EnvName(key))
	}
	e, inFile := entries[key]
	if inFile {
		if err := s.viper.MergeConfigMap(map[string]any{key: e.value()}); err != nil {
			return fault.Wrap(fault.Other, err, "%s", e.at)
		}
		if isSecret(f) && e.open {
			return fault.WithHint(fault.New(fault.Invalid, "%s: %s is a secret, and others may read this file", e.at, key),
				"chmod 600 %s", s.file)
		}
	}
	env := os.Getenv(EnvName(key))
	switch {
	case f.Changed:
		s.origin[key] = "flag --" + key
	case env != "":
		s.origin[key] = "environment " + EnvName(key)
		return assign(f, entry{text: env, at: EnvName(key)})
	case inFile:
		s.origin[key] = "file " + e.at
		return assign(f, e)
	default:
		s.origin[key] = "default"
	}
	return nil
}

// assign gives a flag the value of another source, so that it is checked the
// same way as on the command line. The flag does not count as changed.
func assign(f *pflag.Flag, e entry) error {
	var err error
	slice, isSlice := f.Value.(pflag.SliceValue)
	secret, isSec := f.Value.(*secretValue)
	switch {
	case isSec && e.list == nil:
		secret.text = e.text
	case isSlice && e.list != nil:
		err = slice.Replace(e.list)
	case isSlice:
		err = slice.Replace(splitList(e.text))
	case e.list != nil:
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s is one value, not a list", e.at, f.Name), "%s", f.Usage)
	default:
		err = f.Value.Set(e.text)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s: %q cannot be used: %s", e.at, f.Name, e.text, reason(err)),
			"%s", f.Usage)
	}
	return nil
}

// reason drops the part of a parser's error that repeats the value.
func reason(err error) string {
	text := err.Error()
	for _, noise := range []string{"strconv.ParseBool: ", "strconv.ParseInt: ", "strconv.ParseUint: ", "strconv.ParseFloat: ", "time: "} {
		text = strings.TrimPrefix(text, noise)
	}
	if _, after, ok := strings.Cut(text, `": `); ok && strings.HasPrefix(text, "parsing ") {
		text = after
	}
	return text
}

func splitList(text string) []string {
	out := []string{}
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// DefaultFiles are the files that are looked for when none is named, the
// user's own first. Only the first that exists is read.
func DefaultFiles() []string {
	var files []string
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		if home, err := os.UserHomeDir(); err == nil {
			dir = filepath.Join(home, ".config")
		}
	}
	if dir != "" {
		files = append(files, filepath.Join(dir, "midplane", "config.yaml"))
	}
	return append(files, "/etc/midplane/config.yaml")
}

func findFile(file string) (string, error) {
	named := "--config"
	if file == "" {
		file, named = os.Getenv("MIDPLANE_CONFIG"), "MIDPLANE_CONFIG"
	}
	if file != "" {
		if _, err := os.Stat(file); err != nil {
			return "", fault.WithHint(fault.Wrap(fault.NotFound, err, "%s", named), "name a file that exists, or leave %s out", named)
		}
		return file, nil
	}
	for _, candidate := range DefaultFiles() {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		}
	}
	return "", nil
}

func (s *Settings) keys() []string {
	keys := make([]string, 0, len(s.flags))
	for key := range s.flags {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
