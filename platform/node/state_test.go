package node

import (
	"testing"

	"midplane/internal/testwait"
)

// Every node says of the cluster what the server's own, dearer account of itself says.
func TestMetaIsTheServersOwn(t *testing.T) {
	c := newCluster(t)
	testwait.Until(t, "all name one leader", func() error {
		leader := c.nodes[0].Meta().Leader
		for _, n := range c.nodes {
			info, err := n.srv.Load().Jsz(nil)
			if err != nil {
				return err
			}
			m := n.Meta()
			if info.Meta == nil || m.Leader == "" || m.Leader != leader || m.Leader != info.Meta.Leader || m.Size != 3 || m.Size != info.Meta.Size {
				return errNotYet
			}
		}
		return nil
	})
}
