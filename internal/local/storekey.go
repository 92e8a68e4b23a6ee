package local

import (
	"path/filepath"

	"midplane/fault"
	"midplane/platform/deployment"
)

// storeKey finds the key of the stores, or makes one. It makes none beside
// stores that are encrypted: no other key would ever open them.
func (c *Cluster) storeKey() (err error) {
	if !c.cfg.EncryptAtRest {
		return nil
	}
	made, err := filepath.Glob(filepath.Join(c.cfg.Dir, "nodes", "*", "encryption.json"))
	if err != nil {
		return fault.Wrap(fault.Other, err, "look for stores")
	}
	if len(made) == 0 {
		c.key, err = deployment.MakeStoreKey(c.Deployment())
		return err
	}
	if c.key, err = deployment.StoreKey(c.Deployment()); fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.Denied, err, "the nodes' data is encrypted, and its key is gone")
	}
	return err
}
