package http

import (
	"maps"
	nethttp "net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// metricHelp is the text beside each metric. docs/operate.md says more.
var metricHelp = map[string]string{
	"messages_received_total":           "Messages that came in, good or bad.",
	"messages_rejected_total":           "What was not taken, by reason.",
	"messages_stored_total":             "Messages that the log took.",
	"messages_delivered_total":          "Messages given to readers, counted once for each reader.",
	"messages_dropped_total":            "Messages that a reader was too slow for.",
	"publish_duration_seconds":          "From a whole request to the log's answer.",
	"log_last_sequence":                 "Place of the newest message in the log.",
	"log_bytes":                         "Size of the log.",
	"log_free_bytes":                    "What the file system has left for the log.",
	"log_sync_duration_seconds":         "Time of one commit to disk.",
	"log_state":                         "1 for the state that the log is in.",
	"consumer_lag_messages":             "Messages that a reader has yet to deal with.",
	"consumer_dead_letters":             "Messages that a named reader gave up, and that are kept.",
	"clients":                           "Open connections of readers.",
	"slow_consumers_total":              "Readers that were cut because they did not read.",
	"signature_verify_duration_seconds": "Time to verify one signature.",
	"panics_recovered_total":            "Bugs that ended one request or connection. Must stay 0.",
	"build_info":                        "1; the labels say what runs.",
}

// metricsHandler serves a meter's samples, with those of the Go runtime and the
// process, from a registry of its own.
func metricsHandler(m fedmsg.Meter) nethttp.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gatherer{fedmsg.Meters{m, buildInfo()}},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// buildInfo yields what program this is.
func buildInfo() fedmsg.Meter {
	version, goversion, revision := "unknown", "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version, goversion = info.Main.Version, info.GoVersion
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = setting.Value
			}
		}
	}
	return fedmsg.MeterFunc(func(yield func(fedmsg.Sample) bool) {
		yield(fedmsg.Sample{Name: "build_info", Value: 1, Labels: []string{"version", version, "goversion", goversion, "revision", revision}})
	})
}

// gatherer makes Prometheus metrics of samples. It is an unchecked collector: it
// does not know beforehand what there will be.
type gatherer struct{ meter fedmsg.Meter }

// Describe sends nothing, which makes the collector unchecked.
func (gatherer) Describe(chan<- *prometheus.Desc) {}

// Collect sends all samples. Two rooms may count the same thing, such as what
// the gate and this edge refuse: equal series become one.
func (g gatherer) Collect(out chan<- prometheus.Metric) {
	var order []string
	sums := make(map[string]fedmsg.Sample)
	for s := range g.meter.Samples() {
		key := s.Name + "\x00" + strings.Join(s.Labels, "\x00")
		same, ok := sums[key]
		if ok {
			s.Value += same.Value
			s.Buckets = add(s.Buckets, same.Buckets)
		} else {
			order = append(order, key)
		}
		sums[key] = s
	}
	for _, key := range order {
		out <- metric(sums[key])
	}
}

// add returns the sum of two histograms with the same bounds, which all of ours
// have; nil if there is none.
func add(a, b *fedmsg.Buckets) *fedmsg.Buckets {
	if a == nil || b == nil {
		return a
	}
	sum := &fedmsg.Buckets{Count: a.Count + b.Count, Upper: maps.Clone(a.Upper)}
	for upper, n := range b.Upper {
		sum.Upper[upper] += n
	}
	return sum
}

func metric(s fedmsg.Sample) prometheus.Metric {
	name := "fedmsg_" + s.Name
	help := metricHelp[s.Name]
	if help == "" {
		help = "See docs/operate.md."
	}
	var names, values []string
	for i := 0; i+1 < len(s.Labels); i += 2 {
		names = append(names, s.Labels[i])
		values = append(values, strings.ToValidUTF8(s.Labels[i+1], "?"))
	}
	desc := prometheus.NewDesc(name, help, names, nil)
	var m prometheus.Metric
	var err error
	switch {
	case s.Buckets != nil:
		m, err = prometheus.NewConstHistogram(desc, s.Buckets.Count, s.Value, s.Buckets.Upper, values...)
	case strings.HasSuffix(s.Name, "_total"):
		m, err = prometheus.NewConstMetric(desc, prometheus.CounterValue, s.Value, values...)
	default:
		m, err = prometheus.NewConstMetric(desc, prometheus.GaugeValue, s.Value, values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
