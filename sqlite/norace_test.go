//go:build !race

package sqlite_test

// raceDetector says that everything takes ten times as long.
const raceDetector = false
