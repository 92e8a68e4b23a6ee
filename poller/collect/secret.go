package collect

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"midplane/api"
	"midplane/fault"
)

// maxSecret is the longest secret in bytes; a larger file is surely not one.
const maxSecret = 4096

// Secret returns the value that ref refers to: "env:NAME" is a variable of the
// environment, "file:PATH" the content of a file without its trailing newline.
// "secret:NAME" is what the control plane delivered: see Target.Secret.
// A missing one is NotFound, anything else that is wrong Invalid. No error
// contains a value: not even a ref without a known prefix is repeated, since
// that is most likely a secret in clear.
func Secret(ref string) (string, error) {
	how, name, ok := strings.Cut(ref, ":")
	switch {
	case ok && how == "env" && name != "":
		return secretFromEnv(name)
	case ok && how == "file" && name != "":
		return secretFromFile(name)
	}
	return "", fault.WithHint(fault.New(fault.Invalid, "a secret is not given as a reference"),
		"write secret:NAME, or env:NAME or file:PATH as the poller sees them; secrets in clear are refused and not repeated here")
}

// Secret returns the value that ref refers to, those of "secret:NAME" from
// what the control plane has delivered by now.
func (t Target) Secret(ref string) (string, error) {
	name, ok := api.SecretName(ref)
	switch {
	case !ok:
		return Secret(ref)
	case t.Secrets == nil:
		return "", fault.New(fault.NotFound, "secret:%s: this poller is given no secrets", name)
	}
	return t.Secrets(name)
}

func secretFromEnv(name string) (string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", fault.WithHint(fault.New(fault.NotFound, "secret env:%s: the poller's environment has no such variable", name),
			"set %s for the poller's process", name)
	}
	if value == "" {
		return "", fault.New(fault.Invalid, "secret env:%s is empty", name)
	}
	return value, nil
}

func secretFromFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		kind := fault.Invalid
		if errors.Is(err, fs.ErrNotExist) {
			kind = fault.NotFound
		}
		return "", fault.WithHint(fault.Wrap(kind, err, "secret file:%s", path),
			"the path is as the poller sees it; its user must be able to read the file")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fault.Wrap(fault.Invalid, err, "secret file:%s", path)
	case len(data) > maxSecret:
		return "", fault.New(fault.Invalid, "secret file:%s is longer than %d bytes", path, maxSecret)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return "", fault.New(fault.Invalid, "secret file:%s is empty", path)
	}
	return value, nil
}
