#!/usr/bin/env escript
%% Points out of Erlang: a port owns one process that takes them all, as one JSON object a line.
%% No JSON library is needed for texts and numbers; from OTP 27 on, json:encode/1 does this.

main(_) ->
    Points = open_port({spawn_executable, os:find_executable("points")},
                       [{args, ["emit", "--stream", "--app", "broker"]}, binary, use_stdio]),
    track(Points, "queue.consumed", "operation", [{"messages", 17}, {"queue", "größe \"a\""}]),
    try
        error(queue_full)
    catch
        error:Reason:Stack ->
            [{Module, Function, Arity, At} | _] = Stack,
            Name = io_lib:format("~p:~p/~p", [Module, Function, Arity]),
            Frame = object([{"file", proplists:get_value(file, At, "?")},
                            {"line", proplists:get_value(line, At, 0)}, {"function", Name}]),
            Exception = object([{"type", "error"}, {"message", io_lib:format("~p", [Reason])},
                                {"frames", {raw, [$[, Frame, $]]}}]),
            send(Points, [{"name", "queue.failed"}, {"exception", {raw, Exception}}])
    end,
    port_close(Points).

track(Points, Name, Kind, Attributes) ->
    send(Points, [{"name", Name}, {"kind", Kind}, {"attributes", {raw, object(Attributes)}}]).

send(Points, Members) ->
    port_command(Points, unicode:characters_to_binary([object(Members), $\n])).

object(Members) ->
    [${, lists:join($,, [[value(Key), $:, value(Value)] || {Key, Value} <- Members]), $}].

value({raw, Json}) -> Json;
value(Number) when is_integer(Number) -> integer_to_list(Number);
value(Number) when is_float(Number) -> io_lib:format("~.17g", [Number]);
value(Text) -> [$", [escaped(Char) || Char <- unicode:characters_to_list(Text)], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped(Char) when Char < 32 -> io_lib:format("\\u~4.16.0b", [Char]);
escaped(Char) -> Char.
