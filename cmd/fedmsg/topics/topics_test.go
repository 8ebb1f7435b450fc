package topics

import (
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func TestFilter(t *testing.T) {
	const standard = "^((?!_heartbeat).)*$"
	tests := []struct {
		exclude, include string
		topic            fedmsg.Topic
		want             bool
	}{
		{"_heartbeat", standard, "org.fedoraproject.dev.logger.log", true},
		{"_heartbeat", standard, "org.fedoraproject._heartbeat", false},
		{"zzz", standard, "org.fedoraproject._heartbeat", false},
		{"zzz", ".*", "org.fedoraproject._heartbeat", true},
		{"zzz", "^((?!(git|bodhi)).)*$", "org.fedoraproject.dev.git.receive", false},
		{"zzz", "^(?:(?!git).)*$", "org.fedoraproject.dev.bodhi.x", true},
		{"", ".*", "a", false}, // nothing is found everywhere
		{"zzz", `git\Z`, "org.fedoraproject.dev.git", true},
		{"zzz", "bodhi|git", "a.gitx", true}, // found anywhere
	}
	for _, tt := range tests {
		f, err := New(nil, tt.exclude, tt.include)
		if got := err == nil && f.Match(tt.topic); err != nil || got != tt.want {
			t.Errorf("--exclude %q --include %q: match(%s) = %v, %v, want %v", tt.exclude, tt.include, tt.topic, got, err, tt.want)
		}
	}
	for expr, want := range map[string]string{
		"(":          `--include: "(", character 1: "(": missing closing )`,
		"a(b(c":      `--include: "a(b(c", character 4: "(c": missing closing )`,
		"x(?=git)":   `--include: "x(?=git)", character 2: "(?=": look-ahead is not supported`,
		"(?<!a)b":    `--include: "(?<!a)b", character 1: "(?<!": look-behind is not supported`,
		"(?P<n>a)[z": `--include: "(?P<n>a)[z", character 9: "[z": missing closing ]`,
	} {
		if _, err := New(nil, "zzz", expr); err == nil || err.Error() != want {
			t.Errorf("--include %q: error %v, want %s", expr, err, want)
		}
	}
}
