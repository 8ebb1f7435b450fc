package live

import (
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/irc"
)

// IRC says where the firehose tells what.
func IRC(c *config.Config) irc.Config {
	to := irc.Config{Colors: c.IRCColors, DefaultColor: c.IRCDefaultColor, Method: c.IRCMethod, Commands: c.IRCCommands, ValidateSignatures: c.Validate}
	for _, in := range c.IRC {
		to.Instances = append(to.Instances, irc.Instance{
			Connection: irc.Connection{
				Network: in.Network, Port: in.Port, SSL: in.SSL, CA: in.CA, ServerName: in.ServerName, Certificate: in.Certificate, Key: in.CertKey,
				Nickname: in.Nickname, PasswordFile: in.PasswordFile, Account: in.Account, AccountPasswordFile: in.AccountFile,
				SASL: in.SASL, Regain: in.Regain, Timeout: in.Timeout,
			},
			Channel: in.Channel, ChannelKey: string(in.ChannelKey), MakePretty: in.Pretty, MakeTerse: in.Terse, LineRate: in.LineRate,
			Filters: irc.Filters{Topic: in.Filters.Topic, Body: in.Filters.Body},
		})
	}
	return to
}
