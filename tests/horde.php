<?php
/*
 * Horde Passwd's poppassd driver, as it is, with as much of Horde around it as it asks for:
 *
 *	php horde.php FOLDER HOST PORT NAME OLD NEW
 *
 * prints what it has for the user; FOLDER is Passwd's lib.
 */
error_reporting(E_ALL & ~E_DEPRECATED & ~E_WARNING);

class Passwd_Exception extends Exception
{
}

class Horde_Exception_HookNotSet extends Exception
{
}

class Horde
{
    public static function callHook()
    {
        throw new Horde_Exception_HookNotSet();
    }
}

require "$argv[1]/Driver.php";
require "$argv[1]/Driver/Poppassd.php";
try {
    $driver = new Passwd_Driver_Poppassd(['host' => $argv[2], 'port' => (int)$argv[3]]);
    $driver->changePassword($argv[4], $argv[5], $argv[6]);
    echo "changed\n";
} catch (Passwd_Exception $why) {
    echo trim($why->getMessage()), "\n";
}
