package config

import (
	"reflect"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"midplane/fault"
)

// Setting is one setting as it is shown to a person. Values of secrets are
// never shown.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // "flag --http", "environment MIDPLANE_HTTP", "file config.yaml:3", "default"
	Env    string `json:"env"`
}

// Decode fills the struct that into points to. Each field is tagged with the
// setting it takes, for instance `config:"http-open"`, or with "-"; embedded
// structs with ",squash". Types are string, bool, integers, floats,
// time.Duration, []string, and any with UnmarshalText. A tag that names no setting
// of the command is an error, so that a typo in code is found by the first test.
func (s *Settings) Decode(into any) error {
	all := viper.NewWithOptions(viper.KeyDelimiter("::"))
	keys, err := tags(reflect.TypeOf(into))
	if err != nil {
		return err
	}
	for _, key := range keys {
		f, ok := s.flags[key]
		if !ok {
			return fault.New(fault.Other, "%T asks for setting %q, which this command has no flag for", into, key)
		}
		all.Set(key, s.value(key, f))
	}
	err = all.UnmarshalExact(into, func(c *mapstructure.DecoderConfig) {
		c.TagName = "config"
		c.DecodeHook = mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
		)
	})
	return fault.Wrap(fault.Invalid, err, "settings")
}

// value is the one in viper, with a list from the environment split.
func (s *Settings) value(key string, f *pflag.Flag) any {
	if slice, ok := f.Value.(pflag.SliceValue); ok {
		return slice.GetSlice()
	}
	return s.viper.Get(key)
}

// tags lists the settings that a struct's tags name. A field without a tag is
// a forgotten one.
func tags(t reflect.Type) ([]string, error) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fault.New(fault.Other, "settings are decoded into a pointer to a struct, not %v", t)
	}
	var keys []string
	for i := range t.NumField() {
		switch tag := t.Field(i).Tag.Get("config"); tag {
		case "":
			return nil, fault.New(fault.Other, "field %s of %v has no tag `config`", t.Field(i).Name, t)
		case "-":
		case ",squash":
			more, err := tags(t.Field(i).Type)
			if err != nil {
				return nil, err
			}
			keys = append(keys, more...)
		default:
			keys = append(keys, tag)
		}
	}
	return keys, nil
}

// Origin returns where the value of a setting came from: "flag --http",
// "environment MIDPLANE_HTTP", "file /etc/midplane/config.yaml:3" or
// "default"; "" for what is no setting.
func (s *Settings) Origin(key string) string { return s.origin[key] }

// String returns the value of a setting as text, "" for what is no setting.
func (s *Settings) String(key string) string {
	f, ok := s.flags[key]
	if !ok {
		return ""
	}
	if isSecret(f) {
		return s.viper.GetString(key)
	}
	return f.Value.String()
}

// File returns the path of the file that was read, or "".
func (s *Settings) File() string { return s.file }

// Describe lists every setting in alphabetical order.
func (s *Settings) Describe() []Setting {
	out := make([]Setting, 0, len(s.flags))
	for _, key := range s.keys() {
		value := s.String(key)
		if isSecret(s.flags[key]) && value != "" {
			value = "(hidden)"
		}
		out = append(out, Setting{Key: key, Value: value, Origin: s.origin[key], Env: EnvName(key)})
	}
	return out
}

// Secret defines a setting that must not be on a command line, where every
// process of the machine can read it: it is taken from the environment, or from
// a file that no other user can read. It has no flag in the help.
func Secret(flags *pflag.FlagSet, name, usage string) {
	flags.Var(&secretValue{}, name, usage)
	flags.Lookup(name).Hidden = true
}

type secretValue struct{ text string }

// Set takes nothing: Load refuses the flag. An error here would be printed by
// pflag together with the secret.
func (v *secretValue) Set(string) error { return nil }

// String never shows the secret: pflag prints it in help and in errors.
func (v *secretValue) String() string { return "" }

func (v *secretValue) Type() string { return "secret" }

func isSecret(f *pflag.Flag) bool {
	_, ok := f.Value.(*secretValue)
	return ok
}
