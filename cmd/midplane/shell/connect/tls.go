package connect

import (
	"crypto/x509"
	"encoding/pem"
	"os"

	"midplane/fault"
)

// CAs are the CAs by which this client knows the nodes: those of its CA file,
// or else the one that the node has proven itself with. None, and TLS false,
// when it speaks to them without TLS.
func (c *Client) CAs() (cas []*x509.Certificate, tls bool, err error) {
	state, err := c.nc.TLSConnectionState()
	if err != nil {
		return nil, false, nil // plain
	}
	if c.ca != "" {
		cas, err = certificates(c.ca)
		return cas, true, err
	}
	if len(state.VerifiedChains) > 0 {
		chain := state.VerifiedChains[0]
		cas = chain[len(chain)-1:]
	}
	return cas, true, nil
}

func certificates(path string) (out []*x509.Certificate, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "CA certificate")
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "CA certificate %s", path)
		}
		out = append(out, c)
	}
}
