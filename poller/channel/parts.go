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
	c.prune(c.have.Parts, cfg.Parts)
	for {
		var missing []string
		for _, name := range cfg.Parts {
			if _, ok := c.parts[name]; !ok && len(missing) < api.MaxParts {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			break
		}
		if err := c.fetchParts(ctx, client, cfg.Revision, missing); err != nil {
			return err
		}
	}
	c.join(cfg)
	return nil
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
		c.parts[names[i]] = p
	}
	return nil
}

// join puts the devices of all parts into the configuration.
func (c *Channel) join(cfg *api.PollerConfig) {
	cfg.Devices = nil
	for _, name := range cfg.Parts {
		cfg.Devices = append(cfg.Devices, c.parts[name].devices...)
	}
}

// prune forgets the parts that none of the lists names.
func (c *Channel) prune(lists ...[]string) {
	keep := map[string]part{}
	for _, names := range lists {
		for _, name := range names {
			if p, ok := c.parts[name]; ok {
				keep[name] = p
			}
		}
	}
	c.parts = keep
}

// saveParts keeps a configuration in parts on disk: first parts that are not there,
// then the head, so that a power cut leaves the one before.
func (c *Channel) saveParts(cfg api.PollerConfig) error {
	dir := filepath.Join(c.cfg.Dir, partsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range cfg.Parts {
		p := c.parts[name]
		if p.raw == nil {
			continue
		}
		if err := atomicfile.Write(partFile(dir, name), p.raw); err != nil {
			return err
		}
		p.raw = nil
		c.parts[name] = p
	}
	cfg.Devices = nil
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, headFile), data); err != nil {
		return err
	}
	c.prune(cfg.Parts)
	return errors.Join(removed(c.path), c.removeParts(dir))
}

func partFile(dir, name string) string { return filepath.Join(dir, name+".json") }

// removeParts removes the files of parts that are not in use.
func (c *Channel) removeParts(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, used := c.parts[strings.TrimSuffix(f.Name(), ".json")]; !used && f.Name() != headFile {
			err = errors.Join(err, removed(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restoreParts reads the configuration in parts that is kept on disk.
func (c *Channel) restoreParts() (cfg api.PollerConfig, err error) {
	dir := filepath.Join(c.cfg.Dir, partsDir)
	data, err := os.ReadFile(filepath.Join(dir, headFile))
	if err != nil {
		return cfg, err
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		return cfg, err
	}
	for _, name := range cfg.Parts {
		data, err := os.ReadFile(partFile(dir, filepath.Base(name)))
		if err != nil {
			return cfg, err
		}
		p, err := readPart(name, data)
		if err != nil {
			return cfg, err
		}
		p.raw = nil
		c.parts[name] = p
	}
	c.join(&cfg)
	return cfg, nil
}
