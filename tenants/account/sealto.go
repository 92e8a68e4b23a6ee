package account

import (
	"encoding/json"

	"github.com/nats-io/nkeys"

	"midplane/fault"
)

// SealTo encrypts v as JSON for the holder of one curve key (public, "X…"),
// from a key made for this one message. Only that holder can read it, wherever
// the message goes.
func SealTo(public string, v any) (sender string, sealed []byte, err error) {
	if !nkeys.IsValidPublicCurveKey(public) {
		return "", nil, fault.New(fault.Invalid, "the key to seal for is not a public curve key")
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return "", nil, fault.Wrap(fault.Invalid, err, "seal")
	}
	key, err := nkeys.CreateCurveKeys()
	if err != nil {
		return "", nil, fault.Wrap(fault.Other, err, "make a curve key")
	}
	defer key.Wipe()
	if sender, err = key.PublicKey(); err != nil {
		return "", nil, fault.Wrap(fault.Other, err, "curve key")
	}
	sealed, err = key.Seal(plain, public)
	return sender, sealed, fault.Wrap(fault.Invalid, err, "seal")
}
