package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo says what this program was built of.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		}
	}
	return v
}

func (v versionInfo) String() string {
	s := v.Version
	if v.Revision != "" {
		s += fmt.Sprintf(" (%.12s, %s)", v.Revision, v.Time)
	}
	return s + " " + v.Go + " " + v.Platform
}

func newVersion(env environ) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print what this program was built of",
		Example: `  fedmsg version

  fedmsg version --json | jq -r .version`,
		Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			out := output{env.stdout}
			if asJSON {
				return json.NewEncoder(out).Encode(readVersion())
			}
			_, err := fmt.Fprintln(out, "fedmsg", readVersion())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
