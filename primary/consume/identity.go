package consume

import (
	"github.com/nats-io/nkeys"

	"midplane/fault"
)

// identity is a user's key pair, made in memory for one connection to one
// tenant. The seed is never written and never leaves the process.
type identity struct {
	public string
	pair   nkeys.KeyPair
}

func newIdentity() (*identity, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "make a key pair")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "make a key pair")
	}
	return &identity{public: public, pair: pair}, nil
}

func (i *identity) sign(nonce []byte) ([]byte, error) { return i.pair.Sign(nonce) }
