//go:build !linux

package disk

import "errors"

// Magic does not know how to ask here.
var Magic = func(string) (uint32, error) { return 0, errors.ErrUnsupported }
