package fedmsg

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The kinds of errors. An error that crosses a room's border wraps one of them
// where the receiver can act on the kind.
var (
	// ErrInvalid: what was given is malformed; trying again does not help.
	ErrInvalid = errors.New("invalid")
	// ErrUnsigned: a signature was wanted and there is none.
	ErrUnsigned = errors.New("unsigned")
	// ErrBadSignature: there is a signature, and it proves nothing.
	ErrBadSignature = errors.New("bad signature")
	// ErrNotAllowed: known, and not allowed to do this.
	ErrNotAllowed = errors.New("not allowed")
	// ErrNotFound: there is no such thing here.
	ErrNotFound = errors.New("not found")
	// ErrTooOld: it was here, and the log keeps it no longer.
	ErrTooOld = errors.New("too old")
	// ErrConflict: the message ID is taken by another message.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: not now; the same may work later.
	ErrUnavailable = errors.New("unavailable")
)

// Reason is a stable word for a refusal. The same word is the metric label
// reason, the code of an HTTP error body and the key in logs.
type Reason string

// The reasons. ../docs/wire.md lists what each means to a publisher.
const (
	FrameCount           Reason = "frame_count"
	BadUTF8              Reason = "bad_utf8"
	BadJSON              Reason = "bad_json"
	DupKey               Reason = "dup_key"
	TooDeep              Reason = "too_deep"
	TooLarge             Reason = "too_large"
	NotObject            Reason = "not_object"
	UnknownField         Reason = "unknown_field"
	MissingField         Reason = "missing_field"
	BadField             Reason = "bad_field"
	BadTimestamp         Reason = "bad_timestamp"
	Stale                Reason = "stale"
	Future               Reason = "future"
	Duplicate            Reason = "duplicate"
	MsgIDConflict        Reason = "msg_id_conflict"
	BadTopic             Reason = "bad_topic"
	BadTopicPattern      Reason = "bad_topic_pattern"
	TopicPrefix          Reason = "topic_prefix"
	WrongEnvironment     Reason = "wrong_environment"
	TopicMismatch        Reason = "topic_mismatch"
	Unsigned             Reason = "unsigned"
	CryptoBackend        Reason = "crypto_backend"
	BadSignature         Reason = "bad_signature"
	BadCert              Reason = "bad_cert"
	CertUntrusted        Reason = "cert_untrusted"
	CertExpired          Reason = "cert_expired"
	CertNotYetValid      Reason = "cert_not_yet_valid"
	CertRevoked          Reason = "cert_revoked"
	CertNoCN             Reason = "cert_no_cn"
	CertBadCN            Reason = "cert_bad_cn"
	CertIsCA             Reason = "cert_is_ca"
	CertKey              Reason = "cert_key"
	CertWeak             Reason = "cert_weak"
	CRLUnavailable       Reason = "crl_unavailable"
	CRLExpired           Reason = "crl_expired"
	CRLUntrusted         Reason = "crl_untrusted"
	NotAuthorized        Reason = "not_authorized"
	Unauthenticated      Reason = "unauthenticated"
	InvalidToken         Reason = "invalid_token"
	TokenExpired         Reason = "token_expired"
	RateLimited          Reason = "rate_limited"
	TooManySubscriptions Reason = "too_many_subscriptions"
	TooManyConnections   Reason = "too_many_connections"
	SlowConsumer         Reason = "slow_consumer"
	HandshakeTimeout     Reason = "handshake_timeout"
	StorageFull          Reason = "storage_full"
	LogUnavailable       Reason = "log_unavailable"
)

// kind returns the sentinel that a refusal with this reason wraps.
func (r Reason) kind() error {
	switch r {
	case Unsigned:
		return ErrUnsigned
	case CryptoBackend, BadSignature, BadCert, CertUntrusted, CertExpired, CertNotYetValid,
		CertRevoked, CertNoCN, CertBadCN, CertIsCA, CertKey, CertWeak, CRLUntrusted:
		return ErrBadSignature
	case NotAuthorized, Unauthenticated, InvalidToken, TokenExpired:
		return ErrNotAllowed
	case MsgIDConflict:
		return ErrConflict
	case RateLimited, TooManySubscriptions, TooManyConnections, SlowConsumer, HandshakeTimeout,
		StorageFull, LogUnavailable, CRLUnavailable, CRLExpired:
		return ErrUnavailable
	default:
		return ErrInvalid
	}
}

// Refusal is an error that says in a stable word why something was not taken.
// It wraps the kind of its reason: errors.Is(err, ErrInvalid) and so on.
type Refusal struct {
	Reason Reason
	// Field is the top-level field of the envelope that is at fault, if one is.
	Field string
	// Detail is for people: what, where, and where it helps what to do.
	Detail string
}

func (r *Refusal) Error() string {
	parts := []string{string(r.Reason), r.Field, r.Detail}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Unwrap returns the kind of the reason.
func (r *Refusal) Unwrap() error { return r.Reason.kind() }

// Refuse makes a refusal.
func Refuse(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// RefuseField makes a refusal that names the field at fault.
func RefuseField(reason Reason, field, format string, args ...any) error {
	return &Refusal{Reason: reason, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// ReasonOf returns the reason of the first refusal in err's tree, or "".
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}

// HintError is an error with advice for who can act on it.
type HintError struct {
	Err  error
	Hint string
}

func (e *HintError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *HintError) Unwrap() error { return e.Err }

// Hint returns the advice of the first [HintError] in err's tree, or "".
func Hint(err error) string {
	if h, ok := errors.AsType[*HintError](err); ok {
		return h.Hint
	}
	return ""
}
