package postgres_test

const archiveChildDSN = "FEDMSG_ARCHIVE_TEST_DSN"

func archiveChild(string) {}
