package channel

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/atomicfile"
)

const (
	// partsDir is the folder of a configuration in parts: each part in a file, and
	// headFile, which names them. It is beside configFile, of which an older version
	// would believe that it has no devices.
	partsDir = "config"
	headFile = "head.json"
)

// part is a part of a configuration. raw is nil once it is on disk.
type part struct {
	devices []api.PollerDevice
	raw     []byte
}

func readPart(name string, data []byte) (part, error) {
	if api.PartName(data) != name {
		return part{}, fault.New(fault.Invalid, "a part of the configuration is not what its name says")
	}
	p := part{raw: data}
	err := json.Unmarshal(data, &p.devices)
	return p, fault.Wrap(fault.Invalid, err, "part of the configuration")
}

// complete fetches the parts of a configuration that are not there. What has come
// stays when the rest does not: the next try goes on with it.
func (c *Channel) complete(ctx context.Context, client *api.Channel, cfg *api.PollerConfig) error {
	if len(cfg.Parts) == 0 {
		return nil
	}
	c.parts.keep(c.have.Parts, cfg.Parts)
	for {
		missing := c.parts.missing(cfg.Parts)
		if len(missing) == 0 {
			cfg.Devices = c.parts.devices(cfg.Parts)
			return nil
		}
		if err := c.fetchParts(ctx, client, cfg.Revision, missing); err != nil {
			return err
		}
	}
}

func (c *Channel) fetchParts(ctx context.Context, client *api.Channel, revision uint64, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var answer api.PartsAnswer
	if err := client.Do(ctx, api.ChannelParts, api.ConfigParts{Revision: revision, Parts: names}, &answer); err != nil {
		return fault.Wrap(fault.Other, err, "parts of the configuration")
	}
	if len(answer.Parts) == 0 || len(answer.Parts) > len(names) {
		return fault.New(fault.Invalid, "%d parts of the configuration were asked for, %d came", len(names), len(answer.Parts))
	}
	for i, data := range answer.Parts {
		p, err := readPart(names[i], data)
		if err != nil {
			return err
		}
		c.parts.all[names[i]] = p
	}
	return nil
}

// parts are those of the configuration in use, and of one that is coming.
type parts struct {
	dir string
	all map[string]part
}

// missing returns which of the parts are not there, as many as one request names.
func (s *parts) missing(names []string) (out []string) {
	for _, name := range names {
		if _, ok := s.all[name]; !ok && len(out) < api.MaxParts {
			out = append(out, name)
		}
	}
	return out
}

// devices returns those of the named parts.
func (s *parts) devices(names []string) (out []api.PollerDevice) {
	for _, name := range names {
		out = append(out, s.all[name].devices...)
	}
	return out
}

// keep forgets the parts that none of the lists names.
func (s *parts) keep(lists ...[]string) {
	kept := map[string]part{}
	for _, names := range lists {
		for _, name := range names {
			if p, ok := s.all[name]; ok {
				kept[name] = p
			}
		}
	}
	s.all = kept
}

func (s *parts) file(name string) string { return filepath.Join(s.dir, filepath.Base(name)+".json") }

// save keeps a configuration on disk: first parts that are not there, then the
// head, so that a power cut leaves the one before.
func (s *parts) save(cfg api.PollerConfig) error {
	if err := atomicfile.MakeDir(s.dir); err != nil {
		return err
	}
	for _, name := range cfg.Parts {
		p := s.all[name]
		if p.raw == nil {
			continue
		}
		if err := atomicfile.Write(s.file(name), p.raw); err != nil {
			return err
		}
		p.raw = nil
		s.all[name] = p
	}
	cfg.Devices = nil
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(s.dir, headFile), data); err != nil {
		return err
	}
	s.keep(cfg.Parts)
	return s.removeUnused()
}

// removeUnused removes the files of parts that are not in use.
func (s *parts) removeUnused() error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, used := s.all[strings.TrimSuffix(f.Name(), ".json")]; !used && f.Name() != headFile {
			err = errors.Join(err, removed(filepath.Join(s.dir, f.Name())))
		}
	}
	return err
}

// remove removes all of it.
func (s *parts) remove() error {
	clear(s.all)
	return os.RemoveAll(s.dir)
}

// restore reads the configuration that is kept on disk.
func (s *parts) restore() (cfg api.PollerConfig, err error) {
	data, err := os.ReadFile(filepath.Join(s.dir, headFile))
	if err != nil {
		return cfg, err
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		return cfg, err
	}
	for _, name := range cfg.Parts {
		data, err := os.ReadFile(s.file(name))
		if err != nil {
			return cfg, err
		}
		p, err := readPart(name, data)
		if err != nil {
			return cfg, err
		}
		p.raw = nil
		s.all[name] = p
	}
	cfg.Devices = s.devices(cfg.Parts)
	return cfg, nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
