package http

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// tlsFiles makes the TLS configuration from files, and again when they change.
type tlsFiles struct {
	cert, key, ca string
	oldest        uint16
	logger        *slog.Logger

	mu      sync.Mutex
	now     *tls.Config
	looked  time.Time
	changed [3]time.Time // of the three files, as they were read
}

// tlsInterval is how often the files are looked at, at most.
const tlsInterval = time.Second

func loadTLS(cfg Config, logger *slog.Logger) (*tlsFiles, error) {
	f := &tlsFiles{cert: cfg.TLSCert, key: cfg.TLSKey, ca: cfg.ClientCA, oldest: cfg.TLSMinVersion, logger: logger}
	f.changed = f.times()
	var err error
	f.now, err = f.load()
	return f, err
}

func (f *tlsFiles) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	cfg := &tls.Config{MinVersion: f.oldest, Certificates: []tls.Certificate{pair}}
	if f.ca == "" {
		return cfg, nil
	}
	if cfg.ClientCAs, err = readPool(f.ca); err != nil {
		return nil, fmt.Errorf("client ca: %w", err)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	return cfg, nil
}

// readPool reads the certificates in a PEM file.
func readPool(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(name + ": holds no certificate")
	}
	return pool, nil
}

func (f *tlsFiles) times() (times [3]time.Time) {
	for i, name := range []string{f.cert, f.key, f.ca} {
		if info, err := os.Stat(name); err == nil {
			times[i] = info.ModTime()
		}
	}
	return times
}

// config is for [tls.Config.GetConfigForClient]. Files that cannot be used leave
// in force what was read before.
func (f *tlsFiles) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < tlsInterval {
		return f.now, nil
	}
	f.looked = time.Now()
	times := f.times()
	if times == f.changed {
		return f.now, nil
	}
	f.changed = times
	cfg, err := f.load()
	if err != nil {
		f.logger.Error("certificate files changed and cannot be used; the old ones stay", "err", err)
		return f.now, nil
	}
	f.now = cfg
	return cfg, nil
}
