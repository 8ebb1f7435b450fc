package client

// FormatLine is what every line that is sent passes through.
var FormatLine = formatLine
