package pipefold;

import com.sun.jna.Callback;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;

/** The functions of pipefold.h. A `size_t` is a `long`: this is for 64-bit systems. */
final class Library {
    /** The number of the interface that this class was written for. */
    private static final int ABI = 1;

    static {
        // The property is for a library outside of the system's directories.
        Native.register(Library.class, System.getProperty("pipefold.library", "libpipefold.so.1"));
        if (pipefold_abi() != ABI) {
            throw new UnsatisfiedLinkError("libpipefold " + pipefold_version().getString(0, "UTF-8") + " has interface " + pipefold_abi()
                    + ", and this program needs interface " + ABI);
        }
    }

    private Library() {}

    /** Takes a message of the library, in the thread of a call. */
    interface Log extends Callback {
        void message(Pointer context, int level, Pointer message);
    }

    /** Asks a reporter with a text. */
    interface Call {
        int ask(Pointer reporter, byte[] text, long length, PointerByReference answer);
    }

    static native int pipefold_abi();

    static native Pointer pipefold_version();

    static native int pipefold_open(byte[] config, long length, Log log, Pointer context, PointerByReference reporter, PointerByReference answer);

    static native int pipefold_start(Pointer reporter, byte[] notification, long length, PointerByReference answer);

    static native int pipefold_step(Pointer reporter, byte[] notification, long length, PointerByReference answer);

    static native int pipefold_finish(Pointer reporter, byte[] notification, long length, PointerByReference answer);

    static native int pipefold_flush(Pointer reporter, byte[] options, long length, PointerByReference answer);

    static native int pipefold_merge(Pointer reporter, byte[] history, long length, PointerByReference answer);

    static native void pipefold_free(Pointer answer);

    static native void pipefold_close(Pointer reporter);
}
