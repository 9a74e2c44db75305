# The quick way of `salvor wal push` and `salvor wal get`: asks the helper that an earlier call started (serve-helper.ts), by
# Perl, which starts in a tenth of Node's time. Whatever is unusual is left to the command itself: exec'ed with the same words.
# Arguments: Node, the command's main.js, its words. Uses what perl-base has. The protocol is that of helper-message.ts.
use strict;
use Socket;

my ($node, $main, @words) = @ARGV;
my ($SILENCE_S, $STARTS_S, $LOOKS_S) = (6, 1, 0.02);

sub by_itself {
    # It need not ask again.
    $ENV{SALVOR_WAL_HELPER} = 'asked' unless $ENV{SALVOR_WAL_HELPER};
    exec {$node} $node, $main, @words or exit 127;
}

sub absolute {
    my ($path) = @_;
    $path = (readlink('/proc/self/cwd') // by_itself()) . "/$path" unless $path =~ m{^/};
    my @parts;
    for my $part (split m{/}, $path) {
        if ($part eq '..') { pop @parts }
        elsif ($part ne '' && $part ne '.') { push @parts, $part }
    }
    return '/' . join '/', @parts;
}

sub fnv1a {
    my $hash = 0x811c9dc5;
    $hash = (($hash ^ ord) * 0x01000193) & 0xffffffff for split //, $_[0];
    return sprintf '%08x', $hash;
}

by_itself() if $ENV{SALVOR_WAL_HELPER};
my ($config, $json, $source, @plain) = ($ENV{SALVOR_CONFIG} // 'salvor.yaml', '', '');
for (my $i = 0; $i < @words; $i++) {
    my $word = $words[$i];
    if ($word eq '-c' || $word eq '--config') { $config = $words[++$i] // by_itself() }
    elsif ($word =~ /^--config=(.+)/s) { $config = $1 }
    elsif ($word eq '--source') { $source = $words[++$i] // by_itself() }
    elsif ($word =~ /^--source=(.+)/s) { $source = $1 }
    elsif ($word eq '--json') { $json = '1' }
    elsif ($word =~ /^-/) { by_itself() }
    else { push @plain, $word }
}
my ($wal, $verb, @args) = @plain;
by_itself() unless @plain > 1 && $wal eq 'wal' && ($verb eq 'push' && @args == 1 || $verb eq 'get' && @args == 2);
$args[-1] = absolute($args[-1]);
$config = absolute($config);

my $folder = ($ENV{TMPDIR} || '/tmp') . "/salvor-$>";
my @seen = lstat $folder;
by_itself() unless @seen && -d _ && $seen[4] == $> && !($seen[2] & 077);
my $socket = "$folder/" . fnv1a($config) . '.sock';
my $address = eval { pack_sockaddr_un($socket) } or by_itself();
socket my $helper, PF_UNIX, SOCK_STREAM, 0 or by_itself();
# One that starts is worth waiting for: doing the work in another new process meanwhile would take longer.
my $starting = $socket =~ s/sock$/starting/r;
for (my $left = $STARTS_S / $LOOKS_S; !connect $helper, $address; $left--) {
    my $since = (stat $starting)[9];
    by_itself() unless $left > 0 && defined $since && abs(time - $since) < 5;
    select undef, undef, undef, $LOOKS_S;
}

my $body = join "\0", $main, $config, $verb, $source, $json, $args[0], $args[1] // '', map { "$_=$ENV{$_}" } sort keys %ENV;
my $request = length($body) . "\0$body";
$SIG{PIPE} = sub { };
while (length $request) {
    my $count = syswrite $helper, $request or by_itself();
    substr $request, 0, $count, '';
}
my ($answer, $reply) = ('', undef);
until (defined $reply) {
    vec(my $ready = '', fileno $helper, 1) = 1;
    unless (select($ready, undef, undef, $SILENCE_S) > 0) {
        # It hangs: no later call shall wait for it.
        unlink $socket;
        by_itself();
    }
    by_itself() unless sysread $helper, $answer, 65536, length $answer;
    $answer =~ s/^\.+//;
    by_itself() if $answer =~ /^[^=]/;
    my ($length, $rest) = $answer =~ /^=(\d+)\0(.*)/s or next;
    $reply = $rest if length($rest) == $length;
}
my ($exit, $out, $err) = split /\0/, $reply, 3;
by_itself() unless defined $err && $exit =~ /^\d+$/;
print STDOUT $out;
print STDERR $err;
exit $exit;
