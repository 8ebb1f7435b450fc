package documents_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
)

func TestRead(t *testing.T) {
	tests := []struct {
		in      string
		objects bool
		want    []string
	}{
		{"{}\n[1]\n", false, []string{"1 {}", "2 [1]"}},
		{"1\n\n  \n2", false, []string{"1 1", "4 2"}},
		{"[\n{\"a\":1},\n{}\n]\n{}", false, []string{"1 [\n{\"a\":1},\n{}\n]", "5 {}"}},
		{"{\n{\"a\":1}\n", true, []string{"1 {", "2 {\"a\":1}"}},
		{"{\"a\": \"}\\\"{\",\n\"b\": 1}\n{}", true, []string{"1 {\"a\": \"}\\\"{\",\n\"b\": 1}", "3 {}"}},
		{"{\"a: 1}\n{}\n", true, []string{"1 {\"a: 1}", "2 {}"}}, // a quote that is never closed
		{"", true, nil},
		{"{\"long\":\"" + strings.Repeat("x", 200_000) + "\"}\n{}", true, []string{"1 {\"long\":\"" + strings.Repeat("x", 200_000) + "\"}", "2 {}"}},
	}
	for _, tt := range tests {
		var got []string
		for d, err := range documents.Read(t.Context(), strings.NewReader(tt.in), nil, tt.objects) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimPrefix(d.Place, "standard input: line ")+" "+string(d.Text))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Read(%.60q, objects %v) = %.200q, want %.200q", tt.in, tt.objects, got, tt.want)
		}
	}
}
